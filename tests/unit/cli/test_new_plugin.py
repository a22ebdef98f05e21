"""`deckwright new-plugin`: what it writes works at once, and what could not work it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

MODULES = {"audio": "acme_bells", "image": "acme_letters", "sync": "acme_tables", "data": "acme_lists"}


def write_each(run: Run, *options: str) -> None:
    """Write a plugin of each type into the working directory."""
    for type, name in MODULES.items():
        done = run("new-plugin", name.replace("_", "-"), "--type", type, *options)
        assert (done.code, done.err) == (0, "")


def test_a_new_package_is_named_throughout(run: Run, folder: Path) -> None:
    assert run("new-plugin", "Acme.Bells", "--type", "audio").code == 0
    package = folder / "acme-bells"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert files == {
        ".gitignore", "README.md", "acme_bells.py", "pyproject.toml", "tests/test_acme_bells.py", "tox.ini",
    }  # fmt: skip
    assert 'acme_bells = "acme_bells"' in (package / "pyproject.toml").read_text(encoding="utf-8")
    assert not [file for file in files if "$" in (package / file).read_text(encoding="utf-8")]


def test_single_files_build_a_deck_together(run: Run, folder: Path) -> None:
    write_each(run, "--single-file")
    lines = [f'[providers.{type}.{name}]\npipelines = ["*"]' for type, name in MODULES.items()]
    files = ", ".join(f'"{name}.py"' for name in MODULES.values())
    Path("all.toml").write_text("\n".join([f"[plugins]\npaths = [{files}]", *lines]), encoding="utf-8")
    Path("fruit.words").write_text("# Fruit\nla manzana = apple\nla pera = pear\n", encoding="utf-8")

    checked = run("check", "all.toml", "--online")
    assert (checked.code, checked.err) == (0, "")

    built = run("build", "fruit.words", "--config", "all.toml", "--language", "es", "--json")
    assert (built.code, built.err) == (0, "")
    report = json.loads(built.out)
    assert (report["sounds"], report["pictures"]) == (2, 2)
    assert Path("fruit.tsv").read_text(encoding="utf-8").splitlines() == [
        "Word\tReading\tTranslation\tExample",
        "la manzana\t\tapple\t",
        "la pera\t\tpear\t",
    ]


@pytest.mark.parametrize("type", MODULES)
def test_the_lines_at_the_top_of_a_single_file_set_it_up(run: Run, type: str) -> None:
    assert run("new-plugin", "deckwright-bells", "--type", type, "--single-file").code == 0
    text = Path("deckwright_bells.py").read_text(encoding="utf-8")
    top = [line for line in text.partition('"""')[0].splitlines() if line.startswith("#  ")]
    Path("deckwright.toml").write_text("\n".join(line[1:] for line in top), encoding="utf-8")
    done = run("check")
    assert (done.code, done.err) == (0, "")
    assert f"Set up: {type}.bells\n" in done.out


@pytest.mark.parametrize(
    ("name", "module", "provider"),
    [
        ("acme-bells", "acme_bells", "acme_bells"),
        ("Acme__Bells.2", "acme_bells_2", "acme_bells_2"),
        ("deckwright-bells", "deckwright_bells", "bells"),
    ],
)
def test_the_names_are_told(run: Run, name: str, module: str, provider: str) -> None:
    done = run("new-plugin", name, "--type", "audio", "--dry-run")
    assert f"{module}.py" in done.out
    assert f"[providers.audio.{provider}]" in done.out


def test_what_comes_next_is_told(run: Run) -> None:
    done = run("new-plugin", "acme-bells", "--type", "audio", "--output", "my plugins")
    target = Path("my plugins", "acme-bells")
    assert done.out.endswith(f'Next:\n  cd "{target}"\n  pip install tox\n  tox\n')
    done = run("new-plugin", "acme-lists", "--type", "data", "--single-file")
    assert done.out.endswith("\n  deckwright plugins\n  deckwright check\n  deckwright build spanish.words\n")


@pytest.mark.parametrize("options", [[], ["--single-file"]])
def test_a_dry_run_lists_the_files_and_writes_none(run: Run, folder: Path, options: list[str]) -> None:
    before = set(folder.rglob("*"))
    dry = run("new-plugin", "acme-bells", "--type", "audio", "--dry-run", *options)
    assert (dry.code, dry.err) == (0, "")
    assert set(folder.rglob("*")) == before
    run("new-plugin", "acme-bells", "--type", "audio", *options)
    written = {path.relative_to(folder) for path in set(folder.rglob("*")) - before if path.is_file()}
    assert {Path(line.strip()) for line in dry.out.splitlines() if line.startswith("  ")} == written


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "letters"),
        ("bells!", "letters"),
        ("glöckchen", "letters"),
        ("../bells", "letters"),
        ("2bells", "Start with a letter"),
        ("_bells", "Start with a letter"),
        ("bells-", "do not end with"),
        ("class", "a keyword of Python"),
        ("json", "json is a module of Python"),
        ("attrs", "there is already a module"),
        ("deckwright", "there is already a module"),
        ("test-bells", "looks like a test module"),
        ("conftest", "looks like a test module"),
        ("tests", "looks like a test module"),
        ("deckwright-forvo", "built in"),
    ],
)
def test_a_name_that_could_not_work_is_refused(run: Run, folder: Path, name: str, reason: str) -> None:
    before = set(folder.iterdir())
    done = run("new-plugin", name, "--type", "audio")
    assert (done.code, done.out) == (2, "")
    assert repr(name) in done.err
    assert reason in done.err
    assert "-bells." in done.err
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize("options", [[], ["--single-file"], ["--dry-run"]])
def test_a_name_that_no_file_could_have_is_refused(run: Run, folder: Path, options: list[str]) -> None:
    before = set(folder.iterdir())
    done = run("new-plugin", "b" * 300, "--type", "audio", *options)
    assert (done.code, done.out) == (2, "")
    assert "it is 300 characters long" in done.err
    assert "at most 100" in done.err
    assert set(folder.iterdir()) == before


def test_a_folder_that_no_path_could_have_is_told(run: Run) -> None:
    done = run("new-plugin", "acme-bells", "--type", "audio", "--output", "b" * 300)
    assert (done.code, done.out) == (2, "")
    assert "cannot be written" in done.err


def test_other_plugins_are_not_imported(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("eager.py").write_text("from pathlib import Path\nPath('imported').touch()\n", encoding="utf-8")
    info = folder / "acme_eager-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-eager\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[deckwright]\neager = eager\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("DECKWRIGHT_PLUGINS", "./eager.py")
    assert run("plugins").code == 0
    Path("imported").unlink()
    del sys.modules["eager"]
    done = run("new-plugin", "acme-bells", "--type", "audio")
    assert (done.code, done.err) == (0, "")
    assert not Path("imported").exists()


def test_a_built_in_name_of_another_type_may_be_used(run: Run) -> None:
    assert run("new-plugin", "deckwright-forvo", "--type", "image").code == 0


@pytest.mark.parametrize("options", [[], ["--single-file"], ["--dry-run"]])
def test_nothing_is_overwritten(run: Run, options: list[str]) -> None:
    Path("acme-bells").mkdir()
    Path("acme_bells.py").write_text("mine", encoding="utf-8")
    done = run("new-plugin", "acme-bells", "--type", "audio", *options)
    assert (done.code, done.out) == (2, "")
    assert "exists, and is not overwritten" in done.err
    assert list(Path("acme-bells").iterdir()) == []
    assert Path("acme_bells.py").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_made_is_told(run: Run, folder: Path) -> None:
    Path("blocked").write_text("a file", encoding="utf-8")
    done = run("new-plugin", "acme-bells", "--type", "audio", "--output", "blocked/here")
    assert (done.code, done.out) == (2, "")
    assert "cannot be written" in done.err
