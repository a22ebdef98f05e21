"""What the smallest commands do not do: import plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 20
# A plugin that leaves a trace when it is imported.
PLUGIN = """
from pathlib import Path
from deckwright import hookimpl

Path(__file__).with_suffix(".trace").touch()

@hookimpl
def describe_media_providers():
    return []
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder that Python imports from, with so many installed plugins."""
    for number in range(COUNT):
        name = f"plugin_{number}"
        (tmp_path / f"{name}.py").write_text(PLUGIN, encoding="utf-8")
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(f"[deckwright]\n{name} = {name}\n", encoding="utf-8")
    return tmp_path


# Runs commands one after the other, as the installed script does.
RUN_EACH = """
import sys
from deckwright.cli import main

for line in sys.argv[1:]:
    sys.argv = ["deckwright", *line.split()]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, line
"""


def imported_by(packages: Path, *commands: str) -> int:
    """Return how many plugins a new process imports that runs these commands."""
    subprocess.run(
        [sys.executable, "-c", RUN_EACH, *commands],
        cwd=packages,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), *sys.path])},
        check=True,
        capture_output=True,
    )
    return len(list(packages.glob("*.trace")))


def test_what_needs_no_plugin_imports_none(packages: Path) -> None:
    assert imported_by(packages, "--version", "--help", "build --help", "plugins --help") == 0


def test_who_asks_to_see_them_imports_them_all(packages: Path) -> None:
    assert imported_by(packages, "plugins --json") == COUNT
