"""Finding plugins, without importing any.

Each source yields candidates: a name, its provenance, and a function that imports it. What is wrong with one shows when
it is loaded, in `loading`, so that a broken plugin never hides the others.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import attrs

from deckwright.errors import PluginError

BUILT_INS = "deckwright_builtins"
ENTRY_POINT_GROUP = "deckwright"
ENVIRONMENT_VARIABLE = "DECKWRIGHT_PLUGINS"


@attrs.frozen
class Provenance:
    """Where a plugin is from."""

    kind: str  # "built-in", "module", "file", "installed" or "object"
    location: str = ""  # the module or file; empty for objects
    distribution: str = ""  # empty when it is not known
    version: str = ""  # of the distribution

    def __str__(self) -> str:
        if self.distribution:
            return f"{self.distribution} {self.version}"
        return f"{self.kind} {self.location}" if self.location and self.kind != "built-in" else self.kind


@attrs.frozen
class Candidate:
    """A plugin that was found and not yet imported."""

    name: str  # where it was found; another may have the same
    provenance: Provenance
    load: Callable[[], object] = attrs.field(eq=False)  # imports it
    requires: str = ""  # the versions of Deckwright that its distribution depends on: ">=0.1,<1"
    is_named: bool = attrs.field(default=True, eq=False)  # by a configuration or program, not merely found


def built_in() -> Iterator[Candidate]:
    """Yield every module of the folder of built-in plugins."""
    package = importlib.util.find_spec(BUILT_INS)
    for module in pkgutil.iter_modules(package.submodule_search_locations if package else []):
        yield named_module(f"{BUILT_INS}.{module.name}", kind="built-in")


def named_module(name: str, *, kind: str = "module") -> Candidate:
    """Return the module of this name, as Python finds it."""
    return Candidate(name, Provenance(kind, name), lambda: importlib.import_module(name))


def in_path(path: Path) -> Iterator[Candidate]:
    """Yield the plugin in a file, or every one in a folder: its modules and packages, except tests and `_` names."""
    entries = [path]
    with suppress(OSError):  # one that cannot be read fails when it is loaded
        if path.is_dir() and not (path / "__init__.py").is_file():
            entries = [entry for entry in sorted(path.iterdir()) if _looks_like_a_plugin(entry)]
    yield from map(_file, entries)


def in_environment() -> Iterator[Candidate]:
    """Yield what `DECKWRIGHT_PLUGINS` names: modules, files and folders, separated by commas."""
    for entry in os.environ.get(ENVIRONMENT_VARIABLE, "").split(","):
        entry = entry.strip()
        if entry.endswith(".py") or os.sep in entry or "/" in entry:
            yield from in_path(Path(os.path.expanduser(entry)))  # noqa: PTH111 - it ignores an unknown user
        elif entry:
            yield named_module(entry)


def installed() -> Iterator[Candidate]:
    """Yield the plugins of installed distributions: the entry points of the group `deckwright`."""
    seen: dict[str, Path] = {}
    for folder in _with_entry_points(sys.path):
        # Slow to import (about 60 ms), and not needed without such a plugin.
        from importlib.metadata import Distribution

        try:
            distribution = Distribution.at(folder)
            name, version = distribution.metadata["Name"], distribution.version
            if not name:
                raise PluginError("its METADATA has no name")
            entry_points = distribution.entry_points.select(group=ENTRY_POINT_GROUP)
            requires = _required_versions(distribution.requires or ())
        except Exception as error:  # noqa: BLE001 - a damaged installation must not hide the others
            problem = f"{folder} is damaged ({type(error).__name__}: {error})"
            yield _broken(folder.name, Provenance("installed", str(folder)), problem)
            continue
        first = seen.setdefault(re.sub(r"[-_.]+", "-", name).lower(), folder)
        # Python imports the first of two distributions of one name; in one folder, that may be either.
        if first.parent == folder.parent and first != folder:
            problem = f"{name} is installed twice: {first} and {folder}"
            yield _broken(name, Provenance("installed", str(folder)), problem)
        elif first == folder:
            for entry_point in entry_points:
                provenance = Provenance("installed", entry_point.value, name, version)
                yield Candidate(entry_point.name, provenance, entry_point.load, requires, is_named=False)


def given(plugins: Iterable[object]) -> Iterator[Candidate]:
    """Yield the objects that a program passes in: modules, instances, or classes with static hooks."""
    names: Counter[str] = Counter()
    for plugin in plugins:
        name = str(getattr(plugin, "__name__", None) or type(plugin).__name__)
        names[name] += 1
        if names[name] > 1:
            name = f"{name}-{names[name]}"
        yield Candidate(name, Provenance("object"), lambda plugin=plugin: plugin)  # type: ignore[misc]


def source_of(provenance: Provenance) -> Path | None:
    """Return the file of a plugin's code, found without importing anything; None when it is not found."""
    if provenance.kind == "file":
        path = Path(provenance.location)
        return path / "__init__.py" if path.is_dir() else path
    folders: Sequence[str] | None = None
    found = None
    name = ""
    for part in provenance.location.partition(":")[0].split("."):
        name = f"{name}.{part}" if name else part
        found = PathFinder.find_spec(name, folders)
        folders = found.submodule_search_locations if found else ()
    return Path(found.origin) if found and found.origin else None


def _required_versions(requirements: Iterable[str]) -> str:
    """Return the versions of Deckwright that a distribution depends on; empty for any."""
    ours = [line for line in requirements if line.lower().startswith(ENTRY_POINT_GROUP)]
    if not ours:
        return ""
    from packaging.requirements import Requirement

    found = [
        requirement.specifier
        for requirement in map(Requirement, ours)
        if requirement.name.lower() == ENTRY_POINT_GROUP
        and (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
    ]
    return ",".join(filter(None, map(str, found)))


def _looks_like_a_plugin(path: Path) -> bool:
    is_module = path.suffix == ".py" or (path / "__init__.py").is_file()
    return is_module and not path.name.startswith(("_", ".", "test_", "conftest"))


def _broken(name: str, provenance: Provenance, problem: str) -> Candidate:
    def load() -> object:
        raise PluginError(problem, hint="Reinstall it, or remove that folder.")

    return Candidate(name, provenance, load)


def _file(path: Path) -> Candidate:
    path = Path(os.path.abspath(path))  # noqa: PTH100 - without "..", so that a file has one name
    return Candidate(path.stem, Provenance("file", str(path)), lambda: _import_file(path))


def _import_file(path: Path) -> ModuleType:
    if not path.exists():
        raise PluginError(
            f"{path} does not exist.",
            hint=f"Correct the path, or remove it from [plugins] paths or {ENVIRONMENT_VARIABLE}.",
        )
    source = path / "__init__.py" if path.is_dir() else path
    # The path is part of the name, so that two files of one name do not replace each other.
    name = f"deckwright_plugin_{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(
        name, source, submodule_search_locations=[str(path)] if path.is_dir() else None
    )
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a Python file.", hint="A plugin is a .py file or a package.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _with_entry_points(folders: Iterable[str]) -> Iterator[Path]:
    """Yield the metadata folder of each distribution in these folders that has a plugin."""
    header = f"[{ENTRY_POINT_GROUP}]".encode()
    for folder in tuple(folders):
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                try:
                    with open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:  # noqa: PTH118, PTH123
                        content = file.read()
                except OSError:
                    continue
                if header in content:
                    yield Path(folder, name)
