"""The front-end libraries: exactly the served files, with nothing in them that asks for a file we do not serve."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vppportal.assets import SERVED, keep_served
from vppportal.install import ROOT


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A node_modules folder with every served file, each asking for a source map."""
    for source in SERVED.values():
        path = tmp_path / "node_modules" / source
        path.parent.mkdir(parents=True, exist_ok=True)
        comment = "//# sourceMappingURL=x.map" if path.suffix == ".js" else "/*# sourceMappingURL=x.map */"
        path.write_text(f"content of {path.name}\n{comment}\n")
    return tmp_path / "node_modules"


def test_every_served_file_is_kept_and_nothing_else(packages: Path, tmp_path: Path):
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    (vendor / "of-yesterday.css").touch()
    keep_served(packages, vendor)
    assert {str(path.relative_to(vendor)) for path in vendor.rglob("*") if path.is_file()} == set(SERVED)


def test_no_kept_file_asks_for_a_source_map(packages: Path, tmp_path: Path):
    keep_served(packages, tmp_path / "vendor")
    paths = [*tmp_path.glob("vendor/*.css"), *tmp_path.glob("vendor/*.js")]
    assert {path.name for path in paths} == {name for name in SERVED if name.endswith((".css", ".js"))} != set()
    for path in paths:
        assert path.read_text().strip() == f"content of {path.name}"


def test_a_missing_file_leaves_the_old_ones(packages: Path, tmp_path: Path):
    keep_served(packages, tmp_path / "vendor")
    (packages / SERVED["tabler.min.js"]).unlink()
    with pytest.raises(FileNotFoundError):
        keep_served(packages, tmp_path / "vendor")
    assert (tmp_path / "vendor" / "tabler.min.js").exists()


def test_the_lock_file_names_no_registry_and_every_hash():
    lock = json.loads((ROOT / "static" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert all("resolved" not in package and package["integrity"] for package in packages.values())


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-node.lock"])
def test_the_python_lock_files_name_no_registry_and_every_hash(name: str):
    text = (ROOT / name).read_text()
    assert "://" not in text
    pins = re.findall(r"^[a-z0-9][^ ]*==[^ ]+.*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert pins
    assert all("--hash=sha256:" in pin for pin in pins)
