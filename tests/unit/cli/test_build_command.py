"""`deckwright build`: what it makes, what it says, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

ONLY_PICO = """
[providers.data.csv]
pipelines = ["*"]
[providers.audio.pico]
pipelines = ["*"]
[providers.sync.apkg]
pipelines = ["*"]
"""


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def words(folder: Path) -> Path:
    return write("words.csv", "word,translation\nhola,hello\nadiós,goodbye\n")


def in_a_process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.run(
        [sys.executable, "-m", "deckwright", *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        check=False,
    )


# All well


def test_a_deck_is_made_and_the_report_says_where_it_is(run: Run, words: Path) -> None:
    done = run("build", words, "--config", "bell.toml")
    assert (done.code, done.err) == (0, "")
    assert zipfile.is_zipfile("words.apkg")
    rows = [[cell.strip() for cell in line.strip("│|").split("│")] for line in done.out.splitlines()]
    assert ["words", "2"] in rows
    assert ["cards", "6"] in rows
    assert ["sounds", "2 of 2"] in rows
    assert ["failed", "0"] in rows
    assert done.out.endswith("The deck is in words.apkg\n")


def test_no_configuration_is_needed(run: Run, folder: Path) -> None:
    write("spanish.txt", "el gato\n")
    done = run("build", "spanish.txt", "--json")
    assert done.code == 0, done
    report = json.loads(done.out)
    assert (report["words"], report["cards"], report["sounds"], report["pictures"]) == (1, 3, 1, 1)
    assert report["outputs"] == {"apkg": "spanish.apkg"}
    assert report["problems"] == []


def test_a_configuration_in_the_working_directory_is_used(run: Run, words: Path, folder: Path) -> None:
    (folder / "bell.toml").rename("deckwright.toml")
    assert run("build", words).code == 0


def test_output_and_deck_name_are_as_asked(run: Run, words: Path, folder: Path) -> None:
    (folder / "decks").mkdir()
    done = run("build", words, "-c", "bell.toml", "-o", "decks/my deck.apkg", "-d", "Spanish::A1")
    assert done.code == 0
    assert "Spanish::A1" in done.out
    assert "The deck is in decks/my deck.apkg" in done.out.replace("\\", "/")
    assert [path.name for path in Path("decks").iterdir()] == ["my deck.apkg"]


def test_repeated_words_are_counted(run: Run, folder: Path) -> None:
    write("words.txt", "hola\nhola\nadiós\n")
    assert "2 (and 1 repeated)" in run("build", "words.txt", "-c", "bell.toml").out


@pytest.mark.parametrize("language", ["es", "Spanish", "es-MX"])
def test_the_language_is_told_by_an_option(run: Run, folder: Path, language: str) -> None:
    write("words.txt", "hola\n")
    plan = run("build", "words.txt", "--language", language, "--dry-run", "--json")
    assert json.loads(plan.out)["languages"] == ["es-MX" if "-" in language else "es"]


@pytest.mark.parametrize("name", ["[bold].csv", ":smile:.csv", "-words.csv", "a b'c.csv", "日本.csv"])
def test_any_name_of_a_file_and_deck_is_shown_as_it_is(run: Run, folder: Path, name: str) -> None:
    write(name, "word\n[red]hola[/red]\nsilencio\n")
    done = run("build", "-c", "bell.toml", "--deck", f"[/] {name}", "--output", f"{name}.apkg", "--", name)
    assert done.code == 3
    assert done.out.splitlines()[0] == f"[/] {name}"
    assert done.out.endswith(f"The deck is in {name}.apkg\n")


def test_words_are_shown_as_they_are_and_long_ones_cut(run: Run, folder: Path) -> None:
    config = Path("bell.toml").read_text().replace("audio.bell", "audio.nothing")
    write("none.toml", config + '[providers.image.pictogram]\npipelines = ["*"]\n')
    write("words.csv", f'word\n[red]zzz[/red]\n"zzzz\n  zz"\n{"z" * 300}\n')
    out = run("build", "words.csv", "-c", "none.toml").out
    assert f"Without pictures: 3 ([red]zzz[/red], zzzz zz, {'z' * 30}...), since no provider" in out


# Something failed


def test_a_word_without_sound_is_named_with_the_reason(run: Run, folder: Path) -> None:
    write("words.txt", "hola\nsilencio\n")
    done = run("build", "words.txt", "-c", "bell.toml")
    assert done.code == 3
    assert re.search(r"^1 +sounds +bell +nothing found +silencio *$", done.out, re.MULTILINE)
    assert "bell, nothing found: A bell cannot be silent.\n    Add a provider" in done.out
    assert Path("words.apkg").is_file()


def test_json_says_what_is_missing_and_why(run: Run, folder: Path) -> None:
    write("words.txt", "hola\nsilencio\n")
    done = run("build", "words.txt", "-c", "bell.toml", "--json")
    assert done.code == 3
    assert json.loads(done.out)["missing"] == [
        {"word": "silencio", "type": "audio", "failed": True, "reasons": {"bell": "A bell cannot be silent."}}
    ]


def test_a_provider_that_cannot_be_set_up_does_not_stop_the_others(
    run: Run, words: Path, folder: Path
) -> None:
    config = Path("bell.toml").read_text()
    write("broken.toml", f'{config}[providers.audio.pico]\npipelines = ["*"]\nvolume = "loud"\n')
    done = run("build", words, "-c", "broken.toml")
    assert done.code == 3
    assert "2 of 2" in done.out
    line = config.count("\n") + 3
    assert f"broken.toml, line {line}, providers.audio.pico.volume: " in done.err
    assert "should be a number, not 'loud'" in done.err


def test_an_unknown_provider_does_not_stop_the_others(run: Run, words: Path, folder: Path) -> None:
    config = Path("bell.toml").read_text()
    write("broken.toml", f'{config}[providers.audio.picco]\npipelines = ["*"]\n')
    done = run("build", words, "-c", "broken.toml")
    assert (done.code, Path("words.apkg").is_file()) == (3, True)
    assert "did you mean 'pico'?" in done.err


def test_a_variable_that_is_not_set_is_named(run: Run, words: Path, folder: Path) -> None:
    config = Path("bell.toml").read_text()
    write(
        "broken.toml", f'{config}[providers.audio.pico]\npipelines = ["*"]\nspeed = "${{NOT_SET_AT_ALL}}"\n'
    )
    done = run("build", words, "-c", "broken.toml")
    assert done.code == 3
    assert "NOT_SET_AT_ALL is not set" in done.err


def test_a_second_target_that_refuses_does_not_cost_the_first(run: Run, words: Path, folder: Path) -> None:
    config = Path("bell.toml").read_text()
    more = '[providers.sync.elsewhere]\ntype = "apkg"\npath = "no/such/folder.apkg"\npipelines = ["*"]\n'
    write("two.toml", config + more)
    done = run("build", words, "-c", "two.toml")
    assert done.code == 3
    assert "The deck is in words.apkg" in done.out
    assert "The deck could not be written (elsewhere)" in done.err
    assert "no folder" in done.err


def test_a_missing_package_is_told_once_with_what_to_install(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "py_nanotts", None)
    write("pico.toml", ONLY_PICO)
    write("words.txt", "\n".join(f"palabra {number}" for number in range(70)))
    done = run("build", "words.txt", "-c", "pico.toml", "-l", "es")
    assert done.code == 3
    assert re.search(
        r"^70 +sounds +pico +package missing +palabra 0, palabra 1, palabra", done.out, re.MULTILINE
    )
    assert (done.out + done.err).count("py-nanotts") == 1
    if sys.platform != "darwin":
        assert done.out.count('pip install "deckwright[offline]"') == 1


# No deck was made


def test_without_the_package_for_decks_none_is_made_and_the_mend_is_told(
    run: Run, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genanki", None)
    done = run("build", words, "-c", "bell.toml")
    assert done.code == 1
    assert 'pip install "deckwright[offline]"' in done.err
    assert not list(Path().glob("*.apkg"))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("no/such/folder.apkg", "there is no folder"),
        (".", "is a folder"),
        ("words.csv", "is the word list itself"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    run: Run, words: Path, output: str, message: str
) -> None:
    content = words.read_bytes()
    write("stop.txt", "stop\n")  # asked for the sound of this, the bell would interrupt
    for list_ in (words, "stop.txt") if output != "words.csv" else (words,):
        done = run("build", list_, "-c", "bell.toml", "-o", output)
        assert (done.code, done.out) == (1, "")
        assert message in done.err
    assert words.read_bytes() == content


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_an_error(run: Run, words: Path, folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o500)
    done = run("build", words, "-c", "bell.toml", "-o", "locked/words.apkg")
    assert done.code == 1
    assert "cannot be written" in done.err


def test_a_configuration_without_a_target_says_which_one_to_add(run: Run, words: Path, folder: Path) -> None:
    write("none.toml", Path("bell.toml").read_text().replace("sync.apkg", "image.pictogram"))
    done = run("build", words, "-c", "none.toml")
    assert done.code == 1
    assert "[providers.sync.apkg]" in done.err


def test_an_interrupt_ends_it_with_a_word_and_leaves_nothing_half_made(run: Run, folder: Path) -> None:
    write("words.txt", "hola\nstop\nadiós\n")
    Path("words.apkg").write_bytes(b"the deck of yesterday")
    done = run("build", "words.txt", "-c", "bell.toml")
    assert (done.code, done.out) == (130, "")
    assert "1 of 3 sounds and pictures are saved. Run the same command again to continue." in done.err
    assert Path("words.apkg").read_bytes() == b"the deck of yesterday"
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {
        "bell.py",
        "bell.toml",
        "words.txt",
        "words.apkg",
    }


# Wrong input


@pytest.mark.parametrize(
    ("name", "content", "arguments", "parts"),
    [
        ("words.txt", "hola", ["-l", "klingon"], ["'klingon' is not a language.", "es"]),
        ("words.txt", "hola", ["-l", "Spansh"], ["did you mean 'spanish'?"]),
        ("words.txt", "hola", [], ["words.txt", "--language"]),
        ("words.xlsx", "hola", [], ["words.xlsx", ".xlsx", ".csv"]),
        ("words", "hola", [], ["words", ".csv"]),
        ("es.csv", "", [], ["es.csv", "empty"]),
        ("es.csv", "word,translation\n", [], ["es.csv", "no word"]),
        ("es.csv", "word,translation\nhola,hello\n,goodbye\n", [], ["es.csv, line 3", "goodbye"]),
        ("es.csv", "word,translation\nhola,hello,hi\n", [], ["es.csv, line 2", "quotation marks"]),
        ("es.csv", 'word\n"hola\n', [], ["es.csv, line 2", "quotation mark"]),
        ("es.csv", "foo,bar,baz\n1,2,3\n", [], ["es.csv, line 1", "word"]),
        ("es.csv", "word,language\nhola,es\nhallo,deutch!\n", [], ["item 2", "'deutch!' is not a language"]),
        ("es.json", '{"a": 1}', [], ["es.json", "a word list must be a list"]),
        ("es.json", '["hola",\n]', [], ["es.json, line"]),
        ("es.json", '["hola", 1]', [], ["es.json: item 2 is not a word: 1"]),
    ],
)
def test_wrong_words_are_one_clear_message_and_no_deck(
    run: Run, folder: Path, name: str, content: str, arguments: list[str], parts: list[str]
) -> None:
    write(name, content)
    done = run("build", name, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    for part in parts:
        assert part in done.err
    assert not list(Path().glob("*.apkg"))


def test_words_in_another_encoding_are_named_with_line_and_mend(run: Run, folder: Path) -> None:
    Path("es.csv").write_bytes("word\nhola\nadiós\n".encode("latin-1"))
    done = run("build", "es.csv")
    assert done.code == 2
    assert "es.csv, line 3: the byte 0xF3 is not valid UTF-8" in done.err
    assert "Save the file as UTF-8" in done.err


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ("[providers", ["wrong.toml"]),
        ("[build]\n", ["wrong.toml, providers", "missing"]),
        ("[providers.audio.pico]\n", ["wrong.toml, line 1, providers.audio.pico", "pipelines"]),
        ('[audio]\ntype = "pico"\n', ["old format", "[providers.audio.pico]"]),
        (
            '[build]\nlanguage = "klingon"\n',
            ["wrong.toml, line 2, build.language", "'klingon' is not allowed"],
        ),
        ('[build]\nlang = "es"\n', ["wrong.toml", "did you mean 'language'?"]),
        ("[plugins]\npaths = 3\n", ["wrong.toml, line 2, plugins.paths", "list"]),
    ],
)
def test_a_wrong_configuration_is_one_clear_message_and_no_deck(
    run: Run, words: Path, config: str, parts: list[str]
) -> None:
    rest = '\n[providers.sync.apkg]\npipelines = ["*"]\n[providers.data.csv]\npipelines = ["*"]\n'
    complete = config.startswith(("[build]\nlang", "[plugins]"))
    write("wrong.toml", config + (rest if complete else ""))
    done = run("build", words, "-c", "wrong.toml")
    assert (done.code, done.out) == (2, "")
    for part in parts:
        assert part in done.err
    assert not list(Path().glob("*.apkg"))


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nowhere.csv"], "'nowhere.csv' does not exist"),
        (["."], "is a directory"),
        ([], "Missing argument 'WORDS'"),
        (["words.csv", "--config", "nowhere.toml"], "'nowhere.toml' does not exist"),
        (["words.csv", "--colour"], "--colour"),
    ],
)
def test_wrong_options_are_explained(run: Run, words: Path, arguments: list[str], part: str) -> None:
    done = run("build", *arguments)
    assert (done.code, done.out) == (2, "")
    assert part in done.err
    assert "deckwright build --help" in done.err


# Dry runs


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(run: Run, words: Path, folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = run("build", words, "--dry-run", "-l", "es", "-o", "words.apkg")
    assert (done.code, done.err) == (0, "")
    shown = dict(line.split(maxsplit=1) for line in done.out.splitlines()[:-1])
    assert {key: value.strip() for key, value in shown.items()} == {
        "deck": "Words",
        "words": "2",
        "language": "es",
        "data": "csv, then json",
        "audio": "pico, then espeak",
        "image": "pictogram",
        "sync": "apkg",
        "output": "words.apkg",
    }
    assert sorted(folder.iterdir()) == before


def test_a_dry_run_says_what_would_be_replaced(run: Run, words: Path) -> None:
    Path("words.apkg").write_bytes(b"old")
    assert "words.apkg (replaced)" in run("build", words, "-c", "bell.toml", "-n", "-o", "words.apkg").out
    plan = json.loads(run("build", words, "-c", "bell.toml", "-n", "-o", "words.apkg", "--json").out)
    assert plan["outputs"] == [{"path": "words.apkg", "replaced": True}]
    assert Path("words.apkg").read_bytes() == b"old"


def test_a_dry_run_says_what_is_wrong(run: Run, words: Path, folder: Path) -> None:
    config = Path("bell.toml").read_text()
    write("broken.toml", f'{config}[providers.audio.picco]\npipelines = ["*"]\n')
    assert "picco" in run("build", words, "-c", "broken.toml", "-n").err
    plan = run("build", words, "-c", "broken.toml", "-n", "--json")
    assert "picco" in json.loads(plan.out)["problems"][0]
    assert plan.err == ""


def test_a_dry_run_refuses_what_a_build_would(run: Run, words: Path) -> None:
    assert run("build", words, "-n", "-l", "klingon").code == 2
    assert run("build", words, "-n", "-l", "es", "-o", "no/such/folder.apkg").code == 1


# Terminals


def test_everything_fits_in_80_columns(run: Run, folder: Path) -> None:
    write("words.csv", f"word\n{'palabra ' * 20}\n")
    for arguments in (["build", "--help"], ["--help"], ["build", "words.csv", "-c", "bell.toml"]):
        assert max(map(len, run(*arguments).out.splitlines())) <= 80


@pytest.fixture
def japanese(folder: Path) -> None:
    write("japanese.csv", "word\n家\n")
    write("pico.toml", ONLY_PICO)  # it cannot speak Japanese, so that the report shows the word


@pytest.mark.usefixtures("japanese")
@pytest.mark.parametrize(
    ("encoding", "errors"), [("ascii", "strict"), ("cp1252", "strict"), ("ascii", "surrogateescape")]
)
def test_a_terminal_that_cannot_show_the_words_is_no_hindrance(
    run: Run, monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str
) -> None:
    for options in ([], ["--json"]):
        written, wrong = io.BytesIO(), io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding, errors, write_through=True))
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(wrong, encoding, errors, write_through=True))
        assert run("build", "japanese.csv", "-c", "pico.toml", *options).code == 3
        assert wrong.getvalue() == b""
        if options:
            assert json.loads(written.getvalue())["missing"][0]["word"] == "家"
        else:
            assert b"The deck is in " in written.getvalue()


@pytest.mark.usefixtures("japanese")
def test_a_process_whose_locale_is_c_is_no_hindrance() -> None:
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = in_a_process("build", "japanese.csv", "-c", "pico.toml", **environment)
    assert (done.returncode, done.stderr) == (3, b"")
    assert b"The deck is in " in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_progress_is_shown_on_a_terminal_and_only_there(run: Run, words: Path) -> None:
    import pty

    command = [sys.executable, "-m", "deckwright", "build", str(words), "-c", "bell.toml"]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "80"}
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=False)
        os.write(theirs, b"the end")  # or reading would wait for ever where nothing was shown
        os.close(theirs)
        shown = terminal.read(100_000).decode()
    assert done.returncode == 0
    assert "sounds" in shown
    assert "2/2" in shown
    assert b"\x1b" not in done.stdout
    piped = run("build", words, "-c", "bell.toml")
    assert (piped.code, piped.err) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_real_process_with_a_word(folder: Path) -> None:
    import signal

    slow = Path("bell.py").read_text().replace("raise KeyboardInterrupt", "print('now', flush=True); input()")
    write("bell.py", slow)
    write("words.txt", "hola\nstop\n")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [sys.executable, "-m", "deckwright", "build", "words.txt", "-c", "bell.toml"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # What a plugin prints is on standard error, where it harms no program that reads what the command says.
        assert process.stderr is not None
        assert process.stderr.readline() == "now\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("Stopping: what is in flight is finished first.")
    assert "1 of 2 sounds and pictures are saved. Run the same command again to continue." in err
    assert not Path("words.apkg").exists()


def test_a_fault_of_a_plugin_is_told_without_a_traceback_and_with_one_on_request(
    run: Run, words: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A data provider may raise anything; what it should raise is a DataError.
    write("odd.py", ODD_READER)
    write("odd.toml", 'plugins.paths = ["odd.py"]\n' + ONLY_PICO.replace("data.csv", "data.odd"))
    write("words.odd", "hola")
    done = run("build", "words.odd", "-c", "odd.toml", "-l", "es")
    assert done.code == 2
    assert "words.odd: the data provider odd cannot read it: ZeroDivisionError: oops, at " in done.err
    assert "odd.py:6" in done.err
    shown = in_a_process("--verbose", "build", "words.odd", "-c", "odd.toml", "-l", "es")
    assert (shown.returncode, b"odd.py" in shown.stderr, b"Traceback" in shown.stderr) == (2, True, True)


SHELF = """
from pathlib import Path
from deckwright import SyncProvider, SyncResult, hookimpl

class Shelf(SyncProvider):
    def _test_connection_impl(self):
        return True

    def _sync_cards_impl(self, cards):
        return SyncResult(True, len(cards), {"path": self.config.get("says", __file__)})

    def close(self):
        raise OSError("the door sticks")

@hookimpl
def register_media_provider(type, name, config):
    return Shelf(config) if (type, name) == ("sync", "shelf") else None
"""


def test_a_provider_that_cannot_be_closed_is_in_the_report(run: Run, words: Path) -> None:
    write("shelf.py", SHELF)
    write("shelf.toml", 'plugins.paths = ["shelf.py"]\n' + ONLY_PICO.replace("sync.apkg", "sync.shelf"))
    for command in (["build", words, "-l", "es", "-c", "shelf.toml"], ["check", "shelf.toml"]):
        done = run(*command)
        assert (done.code, done.err.count("the door sticks")) == (3, 1)


def test_what_a_plugin_prints_on_a_terminal_is_masked_before_it_is_broken_into_lines(words: Path) -> None:
    pty = pytest.importorskip("pty")
    secret = "long-secret-" * 12
    made = "        request.output_path.write_bytes"
    bell = Path("bell.py").read_text().replace(made, f"        print(self.config['api_key'])\n{made}")
    write("bell.py", bell)
    config = (
        Path("bell.toml")
        .read_text()
        .replace("[providers.audio.bell]", f'[providers.audio.bell]\napi_key = "{secret}"')
    )
    write("bell.toml", config)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "80"}
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        command = [sys.executable, "-m", "deckwright", "build", str(words), "-c", "bell.toml"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=False)
        os.write(theirs, b"the end")
        os.close(theirs)
        shown = terminal.read(100_000).decode()
    assert done.returncode == 0
    assert "***" in shown
    assert "long-secret" not in shown


ODD_READER = """
from deckwright import DataProvider, ProviderInfo, Traits, hookimpl

class Odd(DataProvider):
    def _load_data_impl(self, identifier):
        raise ZeroDivisionError("oops")

    def _save_data_impl(self, identifier, data):
        return False

    def exists(self, identifier):
        return True

    def list_identifiers(self):
        return []

@hookimpl
def describe_media_providers():
    return [ProviderInfo("data", "odd", traits=Traits(reads=(".odd",)))]

@hookimpl
def register_media_provider(type, name, config):
    return Odd(config) if (type, name) == ("data", "odd") else None
"""


def test_a_file_gets_the_ending_that_anki_needs(run: Run, words: Path) -> None:
    assert "fruit.apkg\n" in run("build", words, "-l", "es", "-o", "fruit", "--dry-run").out.replace(" ", "")
    done = run("build", words, "-l", "es", "-o", "fruit")
    assert done.code == 0
    assert Path("fruit.apkg").exists()
    assert "fruit.apkg" in done.out


def test_further_columns_are_told_since_one_may_be_a_known_one_misspelled(run: Run, folder: Path) -> None:
    write("words.csv", "word,translaton\nhola,hi\n")
    done = run("build", "words.csv", "-l", "es")
    assert "Extra columns shown on the cards: translaton" in done.out


def test_a_type_of_which_no_provider_works_is_in_the_report(run: Run, folder: Path) -> None:
    write("words.csv", "word\nhola\n")
    broken = '[providers.audio.pico]\npipelines = ["*"]\nvolume = 99\n'
    sound = '[providers.data.csv]\npipelines = ["*"]\n[providers.sync.apkg]\npipelines = ["*"]\n'
    write("broken.toml", broken + sound)
    done = run("build", "words.csv", "-l", "es", "-c", "broken.toml")
    assert done.code == 3
    assert "0 of 1" in done.out
    assert re.search(r"^1 +sounds +no provider +hola *$", done.out, re.MULTILINE)
    assert "line 3, providers.audio.pico.volume: 99 is not allowed" in done.err
