"""Imports point one way: cli → lab, probe, observe, engine → edge → signin, lync, policy; what lab and probe
share as clients is in client. The core is pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "addons" / "lyncgate"

# What each layer may import of the package beside itself.
MAY_IMPORT = {
    "policy": {"lync"},
    "lync": set(),
    "signin": {"lync", "policy"},
    "edge": {"signin", "lync", "policy"},
    "engine": {"observe", "edge", "signin", "lync", "policy"},
    "observe": {"edge", "signin", "lync", "policy"},
    "client": set(),
    "lab": {"client", "lync", "policy"},
    "probe": {"client", "signin", "lync", "policy"},
    "cli": {"probe", "client", "lab", "observe", "engine", "edge", "signin", "lync", "policy"},
}
PURE = ("policy", "lync", "signin")
IMPURE = {
    *(
        "mitmproxy",
        "asyncio",
        "socket",
        "ssl",
        "select",
        "selectors",
        "subprocess",
        "threading",
        "multiprocessing",
    ),
    *(
        "pathlib",
        "shutil",
        "tempfile",
        "io",
        "sqlite3",
        "urllib.request",
        "http.client",
        "requests",
        "tornado",
    ),
    *("httptools", "h11", "spnego", "OpenSSL", "logging", "time", "random", "secrets"),
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(module: Path) -> Iterator[str]:
    """Every name that a module imports, at the top or inside."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide which layer is meant"
            yield node.module or ""


def layer_of(module: Path) -> str:
    inside = module.relative_to(PACKAGE).parts
    return inside[0] if len(inside) > 1 else "cli"  # __init__ and __main__ stand above all


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(module: Path) -> None:
    layer = layer_of(module)
    for name in imports(module):
        parts = name.split(".")
        if parts[0] == "lyncgate" and len(parts) > 1:
            assert parts[1] in MAY_IMPORT[layer] | {layer}, f"{layer} must not import {name}"


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES if layer_of(path) in PURE],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_the_core_is_pure(module: Path) -> None:
    for name in imports(module):
        assert name not in IMPURE, f"{name} does I/O or asks the outside; hand the result in instead"
        assert name.split(".")[0] not in IMPURE, f"{name} does I/O or asks the outside"
    opens = [
        node.lineno
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("open", "print")
    ]
    assert not opens, f"opens or prints in line {opens}"


def test_every_layer_is_known() -> None:
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(
        MAY_IMPORT
    )
