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


@pytest.mark.parametrize(
    ("command", "imported"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["build", "--help"], 0),
        (["plugins", "--help"], 0),
        (["plugins", "--json"], COUNT),
    ],
    ids=str,
)
def test_what_needs_no_plugin_imports_none(packages: Path, command: list[str], imported: int) -> None:
    subprocess.run(
        [sys.executable, "-m", "deckwright", *command],
        cwd=packages,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), *sys.path])},
        check=True,
        capture_output=True,
    )
    assert len(list(packages.glob("*.trace"))) == imported
