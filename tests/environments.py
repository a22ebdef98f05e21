"""Virtual environments with Deckwright and plugins in them, as their users have them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import attrs
from broken_plugins import SECRET

ROOT = Path(__file__).parents[1]
PLUGINS = Path(__file__).parent / "plugins"


def uv(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True)


def build_wheels(projects: Iterable[Path], folder: Path) -> list[Path]:
    """Build the wheel of each project, and return them all."""
    for project in projects:
        uv("build", "--wheel", "--out-dir", folder, project)
    return list(folder.glob("*.whl"))


@attrs.frozen
class Environment:
    """A virtual environment with Deckwright in it, and where its commands are run."""

    folder: Path

    @property
    def programs(self) -> Path:
        return self.folder / "venv" / ("Scripts" if os.name == "nt" else "bin")

    @property
    def packages(self) -> Path:
        [packages] = (self.folder / "venv").glob(
            "Lib/site-packages" if os.name == "nt" else "lib/*/site-packages"
        )
        return packages

    def install(self, *requirements: str | Path, with_dependencies: bool = True) -> None:
        options = () if with_dependencies else ("--no-deps",)
        uv("pip", "install", "--python", self.folder / "venv", *options, *requirements)

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run an installed program. What the tox that runs these tests tells its commands is not for it."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DECKWRIGHT_"))
        }
        return subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            env={
                **kept,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONIOENCODING": "utf-8",
                "PYTHONPATH": str(PLUGINS / "path"),
                "BROKEN_PLUGIN_KEY": SECRET,
            },
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )


def new_environment(folder: Path, our_wheel: Path) -> Environment:
    """Make an environment with our wheel and the real distributions."""
    environment = Environment(folder)
    uv("venv", "--python", sys.executable, folder / "venv")
    wheels = build_wheels((PLUGINS / "distributions").iterdir(), folder / "wheels")
    environment.install(f"deckwright[offline] @ {our_wheel.as_uri()}", *wheels)
    return environment
