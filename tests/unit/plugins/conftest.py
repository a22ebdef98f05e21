from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugin_samples import BELL, Write


@pytest.fixture
def write(clean_folder: Path) -> Write:
    """Writes a file into the working directory."""

    def write(name: str, text: str = BELL) -> Path:
        path = clean_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def importable(clean_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules are imported from; what was imported from it is forgotten at the end."""
    folder = clean_folder / "importable"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def install(importable: Path, write: Write) -> Callable[..., Path]:
    """Lays out a distribution as an installer does: a module, and a .dist-info beside it."""

    def install(name: str, version: str, entry_points: str, **modules: str) -> Path:
        info = f"importable/{name.replace('-', '_')}-{version}.dist-info"
        for module, source in modules.items():
            write(f"importable/{module}.py", source)
        write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return write(f"{info}/entry_points.txt", entry_points).parent

    return install
