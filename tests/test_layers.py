"""Lower layers never import upper ones, nothing is imported inside functions, and tasks are only nudged."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ["vppportal.activity", "vppportal.groups", "tokens", "catalog"]
"""Each may import those before it."""
MODULES = sorted(path for app in ("vppportal", "tokens", "catalog") for path in (ROOT / app).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> int | None:
    inside = [level for level, layer in enumerate(LAYERS) if module == layer or module.startswith(layer + ".")]
    return max(inside, default=None)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    own = layer_of(name_of(path))
    # The project package itself lies under all apps: work.py, lists.py and the like import none of them.
    allowed = -1 if own is None else own
    for module in imports(ast.parse(path.read_text())):
        level = layer_of(module)
        assert level is None or level <= allowed, f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_stand_at_the_top(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for function in functions:
        if path.name == "apps.py" and function.name == "ready":
            continue
        assert not list(imports(function)), f"{name_of(path)}.{function.name} imports inside"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_tasks_are_asked_for_only_by_nudge(path: Path) -> None:
    if path.name == "work.py" or "simulator" in path.parts:
        return
    forbidden = {"delay", "apply_async", "delay_on_commit", "send_task"}
    attributes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    assert not [f"line {node.lineno}: .{node.attr}" for node in attributes if node.attr in forbidden]


@pytest.mark.parametrize("path", [path for path in MODULES if "simulator" in path.parts], ids=name_of)
def test_the_simulator_knows_nothing_of_the_portal(path: Path) -> None:
    foreign = ("vppportal.", "tokens.", "catalog.", "django.")
    ours = [module for module in imports(ast.parse(path.read_text())) if f"{module}.".startswith(foreign)]
    assert [module for module in ours if not module.startswith("vppportal.simulator")] == []


def test_only_settings_reads_the_environment() -> None:
    readers = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    # Entry points name the settings module; the runner hands an environment on to the processes it starts.
    entry_points = {"vppportal.celery", "vppportal.wsgi"}
    runner = {
        f"vppportal.{name}" for name in ("__main__", "assets", "embedded", "install", "leash", "prepare", "supervisor")
    }
    assert readers <= {"vppportal.settings"} | entry_points | runner
