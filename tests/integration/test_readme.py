"""What the README says is tried: each command and program in it, and that `.ci/run` runs its two commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PLUGIN_DOCS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
WORDS = re.search(r"```csv\n(.*?)```", README, re.DOTALL)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


PROGRAMS = [*blocks(README, "python"), *blocks(PLUGIN_DOCS, "python")]


def console_lines() -> list[str]:
    return [line for block in blocks(README, "console") for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder such as the README's reader is in: the examples, and the word list that the README shows."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    assert WORDS
    (tmp_path / "words.csv").write_text(WORDS[1], encoding="utf-8")
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as if installed, with this interpreter's packages."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_ci_runs_the_two_commands_word_for_word() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [block.strip() for block in blocks(README, "sh")]
    assert len(commands) == 2
    assert [line for line in script if line in commands] == commands


@pytest.mark.parametrize("line", console_lines())
def test_every_command_of_the_readme_works(folder: Path, line: str) -> None:
    program, *arguments = shlex.split(line)
    command = ["-m", "deckwright", *arguments] if program == "deckwright" else arguments
    done = run(folder, *command)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("block", PROGRAMS)
def test_every_program_of_the_documentation_works(folder: Path, block: str) -> None:
    done = run(folder, "-W", "error", "-c", block)
    assert done.returncode == 0, done.stderr
    for name in re.findall(r'"(\w+\.(?:mp3|apkg))"', block):
        assert (folder / name).stat().st_size > 1000


@pytest.mark.parametrize("block", [block for block in PROGRAMS if "@hookimpl" in block])
def test_every_plugin_of_the_documentation_loads(folder: Path, block: str) -> None:
    (folder / "shown.py").write_text(block, encoding="utf-8")
    claim = re.search(r'\(type, name\) == \("(\w+)", "(\w+)"\)', block)
    assert claim
    config = f'[plugins]\npaths = ["shown.py"]\n[providers.{claim[1]}.{claim[2]}]\npipelines = ["*"]\n'
    if "api_key: str" in block:
        config += 'api_key = "not a key"\n'
    (folder / "one.toml").write_text(config, encoding="utf-8")
    done = run(folder, "-m", "deckwright", "check", "one.toml")
    assert (done.returncode, done.stderr) == (0, "")
