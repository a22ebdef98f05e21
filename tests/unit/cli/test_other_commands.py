"""`deckwright providers`, `plugins` and `check`, and the command itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deckwright import __version__

Run = Callable[..., Any]


def write(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8")


def test_help_lists_every_command_and_keeps_its_lines(run: Run) -> None:
    for arguments in (["--help"], ["-h"]):
        done = run(*arguments)
        assert (done.code, done.err) == (0, "")
        for name in ("build", "check", "plugins", "providers"):
            assert f"\n  {name} " in done.out
        assert "\n  Start with:  deckwright build words.csv --language es\n" in done.out


@pytest.mark.parametrize("command", ["build", "check", "plugins", "providers"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"deckwright {command}" in done.out
    assert "\\b" not in done.out


@pytest.mark.parametrize(("command", "codes"), [("build", "0123"), ("check", "023")])
def test_exit_codes_are_explained_one_a_line(run: Run, command: str, codes: str) -> None:
    lines = run(command, "--help").out.splitlines()
    for code in codes:
        assert any(line.startswith(f"    {code}  ") for line in lines)


def test_the_version_is_told(run: Run) -> None:
    done = run("--version")
    assert (done.code, done.out) == (0, f"deckwright, version {__version__}\n")


@pytest.mark.parametrize("arguments", [["bild"], ["--nothing"]])
def test_an_unknown_command_or_option_is_wrong_input(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert arguments[0] in done.err


# providers


def test_providers_are_listed_with_where_they_are_used(run: Run) -> None:
    done = run("providers")
    assert (done.code, done.err) == (0, "")
    cells = {tuple(line.split()[:3]) for line in done.out.splitlines()}
    assert {
        ("audio", "pico", "pico"),
        ("audio", "espeak", "espeak"),
        ("data", "csv", "csv"),
        ("image", "pictogram", "pictogram"),
        ("sync", "apkg", "apkg"),
    } <= cells
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_provider_may_be_used_under_other_names_and_need_not_describe_itself(
    run: Run, folder: Path
) -> None:
    config = Path("bell.toml").read_text()
    write("more.toml", f'{config}[providers.audio.quick]\ntype = "pico"\nspeed = 2.0\npipelines = ["*"]\n')
    rows = json.loads(run("providers", "--config", "more.toml", "--json").out)["providers"]
    configured = {(row["type"], row["name"]): row["configured"] for row in rows}
    assert configured["audio", "pico"] == ["quick"]
    assert configured["audio", "espeak"] == []
    assert configured["audio", "bell"] == ["bell"]
    [bell] = [row for row in rows if row["name"] == "bell"]
    assert "bell.py" in bell["plugin"]
    assert "bell" in run("providers", "--config", "more.toml").out


def test_a_provider_that_failed_is_told_beside_those_that_work(run: Run, folder: Path) -> None:
    config = Path("bell.toml").read_text()
    write("broken.toml", f'{config}[providers.audio.pico]\npipelines = ["*"]\nspeed = 99\n')
    done = run("providers", "-c", "broken.toml")
    assert "broken.toml, line" in done.err
    assert "bell" in done.out
    report = json.loads(run("providers", "-c", "broken.toml", "--json").out)
    assert "providers.audio.pico.speed" in report["problems"][0]


# plugins


def test_plugins_are_listed_with_where_they_are_from(run: Run, folder: Path) -> None:
    done = run("plugins", "--config", "bell.toml")
    assert (done.code, done.err) == (0, "")
    assert "deckwright_builtins.pico" in done.out
    assert "bell.py" in "".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_users_own_plugins_come_last_and_built_in_ones_take_a_line_each(run: Run, folder: Path) -> None:
    lines = run("plugins", "--config", "bell.toml").out.splitlines()
    built_in = [line for line in lines if "deckwright_builtins." in line]
    assert [line.split()[1] for line in built_in if ".pico" in line] == ["audio/pico"]
    assert lines.index("bell") > lines.index(built_in[-1])
    assert any(line.split() == ["hooks", "register_media_provider"] for line in lines[lines.index("bell") :])


def test_plugins_as_json(run: Run, folder: Path) -> None:
    records = {
        record["name"]: record for record in json.loads(run("plugins", "-c", "bell.toml", "--json").out)
    }
    bell = records["bell"]
    assert (bell["status"], bell["hooks"], bell["diagnostics"]) == ("loaded", ["register_media_provider"], [])
    assert bell["provenance"]["kind"] == "file"
    assert bell["provenance"]["location"] == str(folder / "bell.py")
    assert records["deckwright_builtins.pico"]["provenance"]["kind"] == "built-in"


def test_a_plugin_that_fails_or_is_disabled_is_listed_as_such(run: Run, folder: Path) -> None:
    write("torn.py", "def (")
    write(
        "some.toml",
        'plugins.paths = ["torn.py", "gone.py"]\nplugins.disable = ["deckwright_builtins.pico"]\n',
    )
    done = run("plugins", "-c", "some.toml")
    assert done.code == 0
    assert "torn" in done.err
    assert "SyntaxError" in done.err
    assert "gone.py does not exist" in done.err
    status = {
        record["name"]: record["status"]
        for record in json.loads(run("plugins", "-c", "some.toml", "--json").out)
    }
    assert status["torn"] == status["gone"] == "failed"
    assert status["deckwright_builtins.pico"] == "disabled"


# check


def test_a_good_configuration_is_told_with_what_it_sets_up(run: Run, folder: Path) -> None:
    done = run("check", "bell.toml")
    assert (done.code, done.err) == (0, "")
    for name in ("data.csv", "audio.bell", "sync.apkg"):
        assert name in done.out
    report = json.loads(run("check", "bell.toml", "--json").out)
    assert set(report["providers"]) == {"data.csv", "audio.bell", "sync.apkg"}
    assert report["problems"] == []


def test_a_configuration_with_a_faulty_provider_is_told_with_all_faults(run: Run, folder: Path) -> None:
    config = Path("bell.toml").read_text()
    wrong = f'{config}[providers.audio.pico]\npipelines = ["*"]\nspeeed = 2\n[providers.audio.x]\npipelines = ["*"]\n'
    write("wrong.toml", wrong)
    done = run("check", "wrong.toml")
    assert done.code == 3
    assert "did you mean 'speed'" in done.err
    assert "Unknown audio provider: x" in done.err
    assert "audio.pico" in done.out
    assert "audio.x" not in done.out
    as_json = run("check", "wrong.toml", "--json")
    assert as_json.code == 3
    assert len(json.loads(as_json.out)["problems"]) == 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[[", "wrong.toml"),
        ("", "providers"),
        ("[providers.audio.pico]", "'pipelines'"),
        (
            '[build]\nlanguage = "?"\n[providers.audio.pico]\npipelines = ["*"]',
            "wrong.toml, line 2, build.language",
        ),
        ('[build]\ndesk = "?"\n[providers.audio.pico]\npipelines = ["*"]', "did you mean 'deck'?"),
    ],
)
def test_a_configuration_that_is_wrong_in_itself_is_wrong_input(
    run: Run, folder: Path, text: str, part: str
) -> None:
    write("wrong.toml", text)
    done = run("check", "wrong.toml")
    assert (done.code, done.out) == (2, "")
    assert part in done.err


def test_check_makes_no_files_and_speaks_no_word(run: Run, folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    run("check", "bell.toml")
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == before


# The program


def test_the_module_runs_and_its_exit_code_reaches_the_shell(folder: Path) -> None:
    write("wrong.toml", "[providers.audio.x]\npipelines = ['*']\n")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-m", "deckwright", "check", "wrong.toml"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Unknown audio provider: x" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_reader_that_leaves_early_is_no_fault(folder: Path) -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "deckwright", "providers"],
            env={**os.environ, "PYTHONPATH": path},
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(theirs)
    assert done.stderr == ""
