"""All broken plugins of tests/plugins/broken at once: the deck is the same, and each is reported with a hint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from broken_plugins import BROKEN, EXPECTED, SECRET, deck_in, file_of, findings_about, matches

WORDS = "word,translation\nla manzana,apple\nel perro,dog\n"
# Two commands, and their exit codes with all the broken plugins. tests/plugins/test_installed.py has the others.
COMMANDS = {("build", "words.csv", "--json", "--config"): 3, ("doctor", "--json"): 3}


def start(folder: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    (folder / "words.csv").write_text(WORDS, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "deckwright", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "DECKWRIGHT_PLUGINS": "",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "BROKEN_PLUGIN_KEY": SECRET,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


Results = Mapping[tuple[str, ...], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken")


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    """The result of every command with the broken plugins, and of a build without them."""
    # Waiting for a provider takes longest: tests/plugins/test_installed.py has that one.
    text = (BROKEN / "deckwright.toml").read_text(encoding="utf-8")
    for path in (".", "two_copies/here", "two_copies/there"):
        text = text.replace(f'"{path}"', json.dumps(str(BROKEN / path)), 1)
    config = folder / "broken.toml"
    hangs_at_use = '[providers.audio.hangs_at_use]\npipelines = ["rehearsal"]\n'
    assert hangs_at_use in text
    config.write_text(text.replace(hangs_at_use, ""), encoding="utf-8")
    # They wait for hanging plugins most of the time, so all run at once.
    started = {
        command: start(folder / str(number), *command, config) for number, command in enumerate(COMMANDS)
    }
    started["without",] = start(
        folder / "without", "build", "words.csv", "--config", BROKEN / "without.toml", "--json"
    )
    return {command: ended(process) for command, process in started.items()}


def test_every_plugin_has_an_expected_finding() -> None:
    files = {path.stem for path in BROKEN.glob("*.py")} | {"two_copies"}
    assert files == set(EXPECTED)
    for path in BROKEN.rglob("*.py"):
        assert path.read_text(encoding="utf-8").startswith('"""Broken'), path


def test_the_deck_is_the_same_as_without_them(results: Results, folder: Path) -> None:
    done = results["without",]
    assert (done.returncode, done.stderr) == (0, "")
    notes, cards, media = deck = deck_in(folder / "without" / "words.apkg")
    assert (len(notes), len(cards), len(media)) == (2, 6, 4)
    assert deck_in(folder / "0" / "words.apkg") == deck


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_continue_and_print_their_own_output(results: Results, command: tuple[str, ...]) -> None:
    done = results[command]
    assert done.returncode == COMMANDS[command], done.stderr
    json.loads(done.stdout)
    for printed in ("broken: importing\n", "broken: importing in bytes\n", "broken: importing in lines\n"):
        assert printed in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("plugin", sorted(EXPECTED.keys() - {"hangs_at_use"}))
def test_the_doctor_reports_it_with_its_file_and_a_hint(results: Results, plugin: str) -> None:
    findings = findings_about(
        json.loads(results["doctor", "--json"].stdout), file_of(plugin, EXPECTED[plugin])
    )
    assert any(matches(finding, EXPECTED[plugin]) for finding in findings), findings


def test_the_doctor_reports_only_broken_plugins_and_gives_hints(results: Results) -> None:
    findings = json.loads(results["doctor", "--json"].stdout)
    files = [file_of(name, plugin) for name, plugin in EXPECTED.items()]
    for finding in findings:
        if finding["severity"] == "error":
            assert any(findings_about([finding], file) for file in files), finding
            assert finding["hint"], finding


def test_a_printed_secret_is_masked_and_reported(results: Results) -> None:
    done = results["doctor", "--json"]
    assert "broken: my key is ***" in done.stderr
    leaks = [
        finding for finding in json.loads(done.stdout) if "secret of it is printed" in finding["message"]
    ]
    assert {Path(leak["file"]).name for leak in leaks} == {"prints_a_secret.py"}


def test_a_repeated_failure_is_reported_once(results: Results) -> None:
    findings = json.loads(results["doctor", "--json"].stdout)
    assert len(findings_about(findings, file_of("raises_for_others", EXPECTED["raises_for_others"]))) == 1
