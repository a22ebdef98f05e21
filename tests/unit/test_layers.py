"""Which module may import which: three rings, arrows that point inwards, no circle, types included."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import deckwright
from deckwright import ProviderRegistry

CORE = Path(deckwright.__file__).parent
BUILT_INS = Path(importlib.import_module("deckwright_builtins").__file__ or "").parent

# The rings, from the inside out: a module may import from its own ring and from those before it.
RINGS = (
    # the extension core
    """_version errors secrets diagnostics tracebacks hooks registry registry_compat default_registry
    config plugins providers""",
    "toolkit anki",
    # the application
    "store builder preview doctor scaffold cli testing __main__",
)
RING_OF = {room: ring for ring, rooms in enumerate(RINGS) for room in rooms.split()}


def modules(root: Path) -> dict[str, Path]:
    """Return every module below a package, by its dotted name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


CORE_MODULES = modules(CORE)


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Return all that a file says."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports_of(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each module that a file imports, anywhere in it and for type checkers too, with the names."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield node.module or "", [alias.name for alias in node.names]


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the modules of the core that a file imports; a public name stands for the module it is defined in."""
    for module, names in imports_of(path):
        if module == "deckwright":
            yield from (deckwright._HOME.get(name, f"deckwright.{name}") for name in names)
        elif module.startswith("deckwright."):
            for name in names or [""]:
                submodule = f"{module}.{name}"
                yield submodule if submodule in CORE_MODULES else module


def test_every_module_is_in_a_ring() -> None:
    rooms = {name.split(".")[1] for name in CORE_MODULES if "." in name}
    assert rooms == set(RING_OF)


def test_no_import_goes_outwards() -> None:
    outwards = [
        f"{name} imports {other}"
        for name, path in CORE_MODULES.items()
        if "." in name
        for other in imported_modules(path)
        if other != "deckwright._version" and RING_OF[other.split(".")[1]] > RING_OF[name.split(".")[1]]
    ]
    assert not outwards


def test_no_import_goes_in_a_circle() -> None:
    graph = {name: set(imported_modules(path)) - {name} for name, path in CORE_MODULES.items()}
    TopologicalSorter(graph).prepare()  # raises a CycleError that names the circle


def test_the_core_names_no_built_in_plugin() -> None:
    # `csv` and `json` are the standard library's too. The servers for tests are called what their services are called.
    plugins = {path.stem for path in BUILT_INS.iterdir() if not path.name.startswith("_")} - {"csv", "json"}
    named = []
    for name, path in CORE_MODULES.items():
        if name.startswith("deckwright.testing"):
            continue
        assert not [module for module, _ in imports_of(path) if module.startswith("deckwright_builtins")]
        for node in nodes_of(path):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and (text in plugins or text.startswith("deckwright_builtins.")):
                named.append(f"{name}: {text}")
    assert not named


def test_a_built_in_plugin_uses_the_public_api_only() -> None:
    # The docstring of the package says which modules are for plugin authors, beside its own names.
    public = set(re.findall(r"`(deckwright\.[\w.]+)`", deckwright.__doc__ or ""))
    private = []
    for name, path in modules(BUILT_INS).items():
        for module, names in imports_of(path):
            if module == "deckwright":
                own = {*deckwright.__all__, *(each.removeprefix("deckwright.") for each in public)}
                private += [f"{name}: {each}" for each in names if each not in own]
            elif module.startswith("deckwright."):
                private += [f"{name}: {module}"] if module not in public else []
                private += [f"{name}: {each}" for each in names if each.startswith("_")]
            elif module.startswith("deckwright_builtins") and module.split(".")[1] != name.split(".")[1]:
                private.append(f"{name}: {module}, of another plugin")
    assert not private


def test_every_built_in_module_is_a_plugin() -> None:
    records = ProviderRegistry().plugins.records
    loaded = {record.name for record in records if record.status == "loaded"}
    found = {path for path in BUILT_INS.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {f"deckwright_builtins.{path.stem}" for path in found if path.stem != "__init__"} <= loaded
