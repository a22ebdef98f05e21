"""All the broken plugins of tests/plugins/zoo at once: the deck is the same, and each is told with its mend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import tomli
from zoo import MEMBERS, SECRET, ZOO, about, deck_in, fits, place

WORDS = "word,translation\nla manzana,apple\nel perro,dog\n"
# Every command, and its exit code where the whole zoo is there.
COMMANDS = {
    ("build", "words.csv", "--json", "--config"): 3,
    ("build", "words.csv", "--json", "--dry-run", "--config"): 0,
    ("check", "--json"): 3,
    ("check", "--online", "--json"): 3,
    ("doctor", "--json"): 3,
    ("estimate", "words.csv", "--json", "--config"): 0,
    ("init", "explains_in_numbers", "--dry-run", "--config"): 0,
    ("plugins", "--json", "--config"): 0,
    ("providers", "--json", "--config"): 0,
    ("schema", "--config"): 3,
}


def start(folder: Path, *arguments: str | Path, plugins: str | Path = "") -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    (folder / "words.csv").write_text(WORDS, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "deckwright", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "DECKWRIGHT_PLUGINS": str(plugins),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "ZOO_KEY": SECRET,
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
    return tmp_path_factory.mktemp("zoo")


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    """What became of every command, with the zoo; and of a build without it."""
    # A provider at work is waited for the longest: that one is met in tests/plugins/test_installed.py.
    text = (ZOO / "deckwright.toml").read_text(encoding="utf-8")
    for path in (".", "two_copies/here", "two_copies/there"):
        text = text.replace(f'"{path}"', json.dumps(str(ZOO / path)), 1)
    config = folder / "zoo.toml"
    hangs_at_use = '[providers.audio.hangs_at_use]\npipelines = ["rehearsal"]\n'
    assert hangs_at_use in text
    config.write_text(text.replace(hangs_at_use, ""), encoding="utf-8")
    # Most of their time they wait for those that hang, so they are run at once.
    started = {
        command: start(folder / str(number), *command, config) for number, command in enumerate(COMMANDS)
    }
    started["without",] = start(
        folder / "without", "build", "words.csv", "--config", ZOO / "without.toml", "--json"
    )
    new = ("new-plugin", "acme-bells", "--type", "audio", "--dry-run")
    started["new-plugin",] = start(folder / "new", *new, plugins=ZOO)
    return {command: ended(process) for command, process in started.items()}


def test_each_is_expected_and_each_that_is_expected_is_there() -> None:
    files = {path.stem for path in ZOO.glob("*.py")} | {"two_copies"}
    assert files == set(MEMBERS)
    for path in ZOO.rglob("*.py"):
        assert path.read_text(encoding="utf-8").startswith('"""Broken'), path


def test_the_deck_is_the_same_as_without_them(results: Results, folder: Path) -> None:
    done = results["without",]
    assert (done.returncode, done.stderr) == (0, "")
    notes, cards, media = deck = deck_in(folder / "without" / "words.apkg")
    assert (len(notes), len(cards), len(media)) == (2, 6, 4)
    assert deck_in(folder / "0" / "words.apkg") == deck


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_go_on_and_print_what_they_should_whatever_plugins_print(
    results: Results, command: tuple[str, ...]
) -> None:
    done = results[command]
    assert done.returncode == COMMANDS[command], done.stderr
    (tomli if command[0] == "init" else json).loads(done.stdout)
    for printed in ("zoo: importing\n", "zoo: importing in bytes\n", "zoo: importing in lines\n"):
        assert printed in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("member", sorted(MEMBERS.keys() - {"hangs_at_use"}))
def test_the_doctor_names_it_with_its_file_and_the_mend(results: Results, member: str) -> None:
    findings = about(json.loads(results["doctor", "--json"].stdout), place(member, MEMBERS[member]))
    assert any(fits(finding, MEMBERS[member]) for finding in findings), findings


def test_the_doctor_finds_no_fault_with_the_others_and_says_how_to_mend_each(results: Results) -> None:
    findings = json.loads(results["doctor", "--json"].stdout)
    files = [place(name, member) for name, member in MEMBERS.items()]
    for finding in findings:
        if finding["is_problem"]:
            assert any(about([finding], file) for file in files), finding
            assert finding["mend"], finding


def test_what_is_printed_of_a_secret_is_masked_and_told(results: Results) -> None:
    done = results["doctor", "--json"]
    assert "zoo: my key is ***" in done.stderr
    leaks = [finding for finding in json.loads(done.stdout) if finding["what"] == "a secret is printed"]
    assert {Path(leak["file"]).name for leak in leaks} == {"prints_a_secret.py"}


def test_a_new_plugin_has_nothing_to_do_with_the_others(results: Results) -> None:
    done = results["new-plugin",]
    assert (done.returncode, done.stderr) == (0, "")
    assert "acme_bells.py" in done.stdout


def test_one_that_fails_again_and_again_is_told_once(results: Results) -> None:
    findings = json.loads(results["doctor", "--json"].stdout)
    assert len(about(findings, place("raises_for_others", MEMBERS["raises_for_others"]))) == 1
