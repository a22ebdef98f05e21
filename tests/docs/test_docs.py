"""Run every block of the README, of CONTRIBUTING and of `docs`, as a reader would.

The blocks of a page run in order, in a folder that holds the examples. The first line of a block says what it is:

    ```python title="bells.py"       a file to write: Python, TOML, JSON or CSV
    ```python                        a program to run
    ```python signature              how a hook is declared in hooks.py
    ```toml, ```json                 a configuration to check
    ```toml excerpt="pyproject.toml" a part of a file that exists
    ```sh                            commands, one a line
    ```console                       commands after "$ ", and what they print, where "..." stands for anything
    ```text, and no language         something to look at

A file with a hook in it is loaded as a plugin, and a configuration is checked: both must be correct, unless the name
begins with `wrong`. A command of the page must name any other Python file.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from deckwright import ProviderRegistry, hooks
from deckwright.plugins import Plugins, PluginSettings

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "deckwright"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN_ONLY = ("", "text")
README_COMMANDS = (
    'python3 -m venv .venv && .venv/bin/pip install ".[offline]" && .venv/bin/deckwright build examples/spanish.csv',
    "python3 -m venv .venv && .venv/bin/pip install tox-uv && .venv/bin/tox run -e py",
)
# Commands that this test does not run, each with what runs it instead, or the reason.
NOT_RUN = {
    **dict.fromkeys(README_COMMANDS, ".ci/run runs it"),
    "python3 -m venv .venv && .venv/bin/pip install tox-uv && "
    '.venv/bin/uv pip install -e ".[offline,online,dask]" --group dev': "sets up a checkout",
    ".venv/bin/pytest -n0 tests/unit/test_layers.py -k circle": ".ci/run runs this test",
    ".venv/bin/pytest": ".ci/run runs these tests",
    ".venv/bin/tox run -e lint,types,docs": ".ci/run runs these environments",
    ".ci/run": "runs this test",
    "pip install tox": "tests/plugins/test_new_plugin.py runs the tox of a new plugin",
    "tox": "tests/plugins/test_new_plugin.py runs the tox of a new plugin",
    "pip install build twine": "publishes a package",
    "python -m build": "publishes a package",
    "twine upload dist/*": "publishes a package",
}  # fmt: skip
# As if installed: the command itself does not look for modules in the working directory.
DECKWRIGHT = "import sys; del sys.path[0]; from deckwright.cli import main; main()"
PROGRAMS = {"deckwright": [sys.executable, "-c", DECKWRIGHT], "python": [sys.executable]}
# The environment variables that the configurations of the pages read.
KEYS = ("DICTIONARY_KEY", "FORVO_API_KEY", "OPENAI_API_KEY", "RUNWARE_API_KEY")
# Files that exist at the end of a page, and are larger than an empty one would be.
WRITTEN_FILES = {
    "README.md": ("spanish.apkg", "hello.mp3", "fruit.apkg"),
    "tutorial.md": ("hola.wav", "greetings.apkg"),
}
FENCE = re.compile(r"^```(\S*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r'(title|excerpt)="([^"]+)"')


@attrs.frozen
class Block:
    location: str
    language: str
    info: str
    text: str

    def option(self, wanted: str) -> str:
        return next((value for option, value in OPTION.findall(self.info) if option == wanted), "")

    def commands(self) -> Iterator[tuple[str, str | None]]:
        """Yield each command with the output that the page shows for it, or None."""
        if self.language == "sh":
            for line in self.text.splitlines():
                yield line, None
        elif self.language == "console":
            for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                yield command, shown.strip() or None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}", *found.groups())
        for found in FENCE.finditer(text)
    ]


BLOCKS = {page.name: blocks_of(page) for page in PAGES}
EVERY_BLOCK = [block for blocks in BLOCKS.values() for block in blocks]


class Reader:
    """Somebody who follows one page, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def follow(self, block: Block) -> None:
        if name := block.option("title"):
            self.write(name, block)
        elif name := block.option("excerpt"):
            assert block.text in (self.folder / name).read_text(encoding="utf-8"), block.location
        elif block.info == "signature":
            self.look_up_signature(block)
        elif block.language == "python":
            self.require_success(block, sys.executable, "-W", "error", "-c", block.text)
        elif block.language in ("toml", "json"):
            name = f"shown.{block.language}"
            (self.folder / name).write_text(block.text, encoding="utf-8")
            self.check(name)
        elif block.language in ("sh", "console"):
            for command, shown in block.commands():
                self.run(command, shown, block)
        else:
            assert block.language in SHOWN_ONLY, f"{block.location}: no test runs {block.language}"

    def write(self, name: str, block: Block) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        if path.name.startswith("wrong"):
            return
        if "@hookimpl" in block.text:
            assert Plugins(PluginSettings(paths=[path], installed=False)).problems() == [], block.location
        elif path.suffix in (".toml", ".json"):
            self.check(name)

    def check(self, name: str) -> None:
        ProviderRegistry.from_config(self.folder / name, strict=True).close()

    def look_up_signature(self, block: Block) -> None:
        declared = Path(hooks.__file__).read_text(encoding="utf-8")
        assert block.text.removesuffix(" ...\n") in declared, block.location

    def run(self, command: str, shown: str | None, block: Block) -> None:
        if command in NOT_RUN:
            return
        program, *arguments = shlex.split(command)
        if program == "cd":
            self.folder /= arguments[0]
            return
        if shown is None:
            self.require_success(block, *PROGRAMS.get(program, [program]), *arguments)
        else:
            _, printed = self.run_program(*PROGRAMS.get(program, [program]), *arguments)
            assert is_shown_by(shown, printed), f"{block.location}: $ {command}\n{printed}"
            assert "Traceback" in shown or "Traceback" not in printed, (
                f"{block.location}: $ {command}\n{printed}"
            )

    def require_success(self, block: Block, *command: str) -> None:
        code, printed = self.run_program(*command)
        assert code == 0, f"{block.location}:\n{printed}"
        assert "Traceback" not in printed, f"{block.location}:\n{printed}"

    def run_program(self, *command: str) -> tuple[int, str]:
        """Run a program with this interpreter's packages; return its exit code and what it prints."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            # A page may write a file twice within a second, which is too short for Python to see the change.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        return done.returncode, done.stdout


def is_shown_by(shown: str, printed: str) -> bool:
    """Say whether the page shows what a program printed. The number of blanks does not matter."""
    shown, printed = (
        re.sub(r"[ \t]+", " ", re.sub(r"[ \t]+$", "", text, flags=re.M)) for text in (shown, printed)
    )
    pattern = ".*?".join(map(re.escape, shown.strip().split("...")))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.parametrize("page", BLOCKS)
def test_the_page_can_be_followed(page: str, clean_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", clean_folder / "examples")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for key in KEYS:
        monkeypatch.setenv(key, "not-a-key")
    reader = Reader(clean_folder)
    for block in BLOCKS[page]:
        reader.follow(block)
    for name in WRITTEN_FILES.get(page, ()):
        assert (clean_folder / name).stat().st_size > 1000, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_found(page: Path) -> None:
    fences = re.findall(r"^\s*(?:```|~~~)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(BLOCKS[page.name])
    commands = [command for block in BLOCKS[page.name] for command, _ in block.commands()]
    for block in BLOCKS[page.name]:
        assert OPTION.sub("", block.info).strip() in ("", "signature"), block.location
        if block.language in ("sh", "console"):
            assert list(block.commands()), block.location
            # A command that only has to succeed is shown without output.
            assert "..." not in [shown for _, shown in block.commands()], block.location
        title = block.option("title")
        if title.endswith(".py") and "@hookimpl" not in block.text and not title.startswith("wrong"):
            assert any(title in command for command in commands), f"{block.location}: nothing runs {title}"


def test_the_files_of_the_tutorial_pass_ruff_with_its_default_settings(clean_folder: Path) -> None:
    pytest.importorskip("ruff", reason="ruff is optional for the tests")
    for block in BLOCKS["tutorial.md"]:
        if block.option("title").endswith(".py"):
            (clean_folder / block.option("title")).write_text(block.text, encoding="utf-8")
            for command in (["check", "--select=E4,E7,E9,F,I,RUF012"], ["format", "--check"]):
                ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "."]
                done = subprocess.run(ruff, cwd=clean_folder, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{block.location}:\n{done.stdout}{done.stderr}"


def test_every_command_that_is_not_run_is_on_a_page() -> None:
    shown = {command for block in EVERY_BLOCK for command, _ in block.commands()}
    assert set(NOT_RUN) <= shown


def test_ci_runs_the_commands_of_the_readme_word_for_word() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in script if line in README_COMMANDS] == list(README_COMMANDS)


def test_hosted_ci_runs_the_script_of_ci() -> None:
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert "- run: .ci/run\n" in workflow
    assert f"run: {README_COMMANDS[1]}\n" in workflow


def test_the_actions_of_hosted_ci_are_pinned() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for action in re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8")):
            assert re.fullmatch(r"\./.+|[\w/-]+@[0-9a-f]{40} # v[\d.]+", action), f"{workflow.name}: {action}"


def test_contributing_names_tox_environments_that_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    environments = set(
        re.findall(r"^\[testenv:(\w+)\]", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.M)
    )
    named = re.findall(r"tox run -e ([\w,]+)", page)
    assert named
    assert {name for names in named for name in names.split(",")} <= environments


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_that_is_named_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:[\w.]+/)+[\w.]*)`", text):
        assert any((root / path).exists() for root in (ROOT, CORE)), path


def test_the_layout_of_the_architecture_is_that_of_the_tree() -> None:
    layout = BLOCKS["architecture.md"][0].text
    named = set(re.findall(r"^ {8}(\w+(?:/|\.py)) ", layout, re.MULTILINE))
    folders = {f"{path.parent.name}/" for path in CORE.glob("*/__init__.py")}
    assert folders <= named
    assert {name for name in named if not (CORE / name).exists()} == set()


def test_every_link_leads_somewhere() -> None:
    for page in (*PAGES, ROOT / "SECURITY.md"):
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, heading = link.partition("#")
            if path.startswith("http"):
                continue
            target = (page.parent / path) if path else page
            assert target.exists(), f"{page.name}: {link}"
            if heading:
                assert heading in anchors_of(target), f"{page.name}: {link}"


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_shown_output_is_compared() -> None:
    assert is_shown_by("one\n...\nlast", "one  \ntwo\nthree\nlast\n")
    assert not is_shown_by("one\n...\nlast", "one\ntwo\nlast but one")
