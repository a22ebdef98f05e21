"""`deckwright init`: a configuration to start from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli

from deckwright.config.settings import describe_settings
from deckwright.config.template import variable_for
from deckwright.plugins import Plugins

Run = Callable[..., Any]

# A plugin whose settings are hard to write down.
CHOIR = """
from typing import Annotated, Any, Literal

import attrs
from msgspec import Meta
from deckwright import MediaProvider, NotFoundError, ProviderInfo, hookimpl

@attrs.define(kw_only=True)
class ChoirSettings:
    place: str = attrs.field(metadata={"help": "where\\nit\\x00 sings"})
    singers: int = attrs.field(validator=attrs.validators.ge(1))
    key: str
    songs: list[str]
    voices: dict[str, Any]
    mood: Literal["glad", "sad"]
    hidden: Any = attrs.field(factory=object)
    motto: str = 'say "ah"\\n\\x7f \\\\ end'
    loudest: float = float("inf")
    parts: dict[str, Any] = attrs.field(factory=lambda: {"a b": [1, {"c": True}], "d": None})

class Choir(MediaProvider):
    supported_types = ("audio",)
    config_class = ChoirSettings

    def _generate_media_impl(self, request):
        raise NotFoundError("It is silent.")

@hookimpl
def describe_media_providers():
    return [
        ProviderInfo("audio", "choir no. 1", "Sings", ChoirSettings),
        ProviderInfo("audio", "openai", "Not the one of pictures", ChoirSettings),
    ]

@hookimpl
def register_media_provider(type, name, config):
    return Choir(config)
"""


def written(path: str = "deckwright.toml") -> dict[str, Any]:
    return tomli.loads(Path(path).read_text(encoding="utf-8"))


def test_without_providers_and_a_terminal_it_is_the_built_in_ones(run: Run, folder: Path) -> None:
    done = run("init")
    assert (done.code, done.out) == (0, "")
    assert "deckwright.toml is written." in done.err
    assert "variables" not in done.err
    names = {type: list(instances) for type, instances in written()["providers"].items()}
    assert names == {
        "data": ["csv", "json"],
        "audio": ["pico", "espeak"],
        "image": ["pictogram"],
        "sync": ["apkg"],
    }
    checked = run("check")
    assert (checked.code, checked.err) == (0, "")
    assert "audio.pico, audio.espeak" in checked.out


def test_the_chosen_are_written_in_order_with_what_a_deck_needs(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("init", "audio.pico", "forvo", "audio/pico", "image/openai", "-l", "es")
    assert done.code == 0
    config = written()
    assert {type: list(its) for type, its in config["providers"].items()} == {
        "data": ["csv", "json"],
        "audio": ["pico", "forvo"],
        "image": ["openai"],
        "sync": ["apkg"],
    }
    assert config["build"] == {"language": "es"}
    assert config["providers"]["audio"]["forvo"] == {"pipelines": ["*"], "api_key": "${FORVO_API_KEY}"}
    text = Path("deckwright.toml").read_text(encoding="utf-8")
    assert text.count("You chose none;") == 2
    assert "FORVO_API_KEY  audio/forvo: the key of your Forvo plan\n" in done.err
    assert "OPENAI_API_KEY  image/openai: your key\n" in done.err
    refused = run("check")
    assert refused.code == 3
    assert "FORVO_API_KEY is not set" in refused.err
    monkeypatch.setenv("FORVO_API_KEY", "a-key")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert run("check").code == 0


def test_every_provider_is_written_with_every_setting_explained(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = [info for info, _ in Plugins().describe()]
    assert run("init", *(f"{info.type}/{info.name}" for info in offers)).code == 0
    text = Path("deckwright.toml").read_text(encoding="utf-8")
    assert max(len(line) for line in text.splitlines() if line.startswith("# ")) <= 80
    # Whatever has a default may be uncommented, and changes nothing.
    plain = re.sub(r"^#(\w+ = .+)$", r"\1", text, flags=re.MULTILINE)
    live = tomli.loads(plain)["providers"]
    for info in offers:
        for setting in describe_settings(info.config_class):
            assert re.search(rf"^#?{setting['name']} =", text, re.MULTILINE)
            if setting["default"] is not None:
                assert live[info.type][info.name][setting["name"]] is not None
            assert setting["help"].split()[0] in text
    Path("plain.toml").write_text(plain, encoding="utf-8")
    for name in ("FORVO_API_KEY", "OPENAI_API_KEY", "RUNWARE_API_KEY", "ANKI_API_KEY"):
        monkeypatch.setenv(name, "a-key")
    for path in ("deckwright.toml", "plain.toml"):
        done = run("check", path)
        assert (done.code, done.err) == (0, "")


def test_providers_of_plugins_can_be_chosen_and_their_section_is_kept(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("choir.py").write_text(CHOIR)
    Path("with.toml").write_text('[plugins]\npaths = ["choir.py"]\ninstalled = false\n')
    Path("sub").mkdir()
    output = Path("sub", "my.toml")
    done = run("init", "choir no. 1", "-c", "with.toml", "-o", output)
    assert done.code == 0
    config = written(str(output))
    assert config["plugins"] == {"paths": ["../choir.py"], "installed": False}
    choir = config["providers"]["audio"]["choir no. 1"]
    assert choir == {
        "pipelines": ["*"],
        "place": "${CHOIR_NO_1_PLACE}",
        "singers": "${CHOIR_NO_1_SINGERS}",
        "key": "${CHOIR_NO_1_KEY}",
        "songs": [],
        "voices": {},
        "mood": "${CHOIR_NO_1_MOOD}",
    }
    assert "CHOIR_NO_1_PLACE  audio/choir no. 1: where" in done.err
    text = output.read_text(encoding="utf-8")
    assert "\n#hidden =\n" in text or '\n#hidden = "<object' in text
    assert "\n#loudest = inf\n" in text
    assert (
        tomli.loads(re.search(r"^#(motto = .*)$", text, re.MULTILINE)[1])["motto"] == 'say "ah"\n\x7f \\ end'
    )  # type: ignore[index]
    for name, value in {"PLACE": "here", "SINGERS": "3", "KEY": "abc", "MOOD": "sad"}.items():
        monkeypatch.setenv(f"CHOIR_NO_1_{name}", value)
    checked = run("check", output)
    assert (checked.code, checked.err) == (0, "")


def test_what_only_its_user_can_tell_is_left_to_fill_in(run: Run, folder: Path) -> None:
    settings = """
    voices: Annotated[list[str], Meta(min_length=1, description="who sings")]
    parts: dict[str, str] = attrs.field(validator=attrs.validators.min_len(1))
    size: Literal[1, 2] = attrs.field(metadata={"help": 5})
    songs: list[str]
"""
    choir = re.sub(r"(?<=class ChoirSettings:)\n.*?\n(?=\nclass)", settings, CHOIR, flags=re.DOTALL)
    Path("choir.py").write_text(choir)
    Path("with.toml").write_text('[plugins]\npaths = ["choir.py"]\n')
    done = run("init", "choir no. 1", "-c", "with.toml")
    assert done.code == 0
    section = written()["providers"]["audio"]["choir no. 1"]
    assert section == {"pipelines": ["*"], "songs": []}
    assert "variables" not in done.err
    told = done.err.partition("Fill in these settings, which are required:\n")[2]
    assert '  providers.audio."choir no. 1".voices  who sings (a list of text, not empty, required)\n' in told
    text = Path("deckwright.toml").read_text(encoding="utf-8")
    for name, value in {"voices": '["Ana"]', "parts": '{alto = "Ana"}', "size": "2"}.items():
        assert f'"choir no. 1".{name}  ' in told
        line = f"#{name} =  # required: fill it in\n"
        assert line in text
        text = text.replace(line, f"{name} = {value}\n")
    refused = run("check")
    assert (refused.code, "voices: is required and missing" in refused.err) == (3, True)
    Path("deckwright.toml").write_text(text, encoding="utf-8")
    checked = run("check")
    assert (checked.code, checked.err) == (0, "")


def test_every_name_that_cannot_be_found_is_told_at_once(run: Run, folder: Path) -> None:
    Path("choir.py").write_text(CHOIR)
    Path("with.toml").write_text('[plugins]\npaths = ["choir.py"]\n')
    done = run("init", "forv", "openai", "audio/pictogram", "-c", "with.toml")
    assert (done.code, done.out) == (2, "")
    assert "No plugin describes a provider 'forv', did you mean 'forvo'?" in done.err
    assert "Several providers are called 'openai': write audio/openai or image/openai." in done.err
    assert "'audio/pictogram', did you mean 'pictogram'?" in done.err
    assert not Path("deckwright.toml").exists()


def test_a_file_that_is_there_is_replaced_by_force_only(run: Run, folder: Path) -> None:
    Path("deckwright.toml").write_text("# mine\n")
    done = run("init", "pico")
    assert (done.code, done.out) == (2, "")
    assert "deckwright.toml exists" in done.err
    assert "--force" in done.err
    assert Path("deckwright.toml").read_text() == "# mine\n"
    assert run("init", "pico", "--dry-run").code == 0
    assert Path("deckwright.toml").read_text() == "# mine\n"
    assert run("init", "pico", "--force").code == 0
    assert list(written()["providers"]["audio"]) == ["pico"]


def test_a_dry_run_prints_the_file_and_writes_nothing(run: Run, folder: Path) -> None:
    done = run("init", "forvo", "--dry-run")
    assert done.code == 0
    assert not Path("deckwright.toml").exists()
    assert "forvo" in tomli.loads(done.out)["providers"]["audio"]
    assert "FORVO_API_KEY" in done.err
    assert run("init", "forvo").code == 0
    assert Path("deckwright.toml").read_text(encoding="utf-8") == done.out


@pytest.mark.parametrize(
    ("arguments", "part", "code"),
    [
        (["-o", "a.json"], ".toml", 2),
        (["-l", "?"], "?", 2),
        (["-c", "nowhere.toml"], "nowhere.toml", 2),
        (["-o", "nowhere/a.toml"], "cannot be written", 1),
    ],
)
def test_what_cannot_be_done_is_told(
    run: Run, folder: Path, arguments: list[str], part: str, code: int
) -> None:
    done = run("init", "pico", *arguments)
    assert (done.code, done.out) == (code, "")
    assert part in done.err


@pytest.mark.parametrize(
    ("provider", "setting", "variable"),
    [("forvo", "api_key", "FORVO_API_KEY"), ("a-b.c", "key", "A_B_C_KEY"), ("11labs", "key", "_11LABS_KEY")],
)
def test_variables_are_named_for_provider_and_setting(provider: str, setting: str, variable: str) -> None:
    assert variable_for(provider, setting) == variable


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_on_a_terminal_it_asks(folder: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    path = os.pathsep.join(entry for entry in sys.path if entry)
    # For data the usual; a wrong answer and a right one for audio; then by name; then none.
    os.write(ours, b"\n9\n2, pico\nopenai\nnone\n")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "deckwright", "init"],
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "80", "TERM": "dumb"},
            stdin=theirs,
            stderr=theirs,
            check=False,
            timeout=60,
        )
        said = os.read(ours, 100_000).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 0
    assert "audio: where sound comes from" in said
    assert "No plugin describes a provider '9'" in said
    names = {type: list(instances) for type, instances in written()["providers"].items()}
    assert names == {
        "data": ["csv", "json"],
        "audio": ["forvo", "pico"],
        "image": ["openai"],
        "sync": ["apkg"],
    }
