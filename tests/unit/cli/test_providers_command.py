"""`deckwright providers --all`: all that is known of each provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

STRANGE = """
from __future__ import annotations
import attrs
from deckwright import ProviderInfo, hookimpl

@attrs.define
class StrangeSettings:
    size: NoSuchType = 1

@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "strange", "Odd", StrangeSettings), ProviderInfo("audio", "free", "Any")]

@hookimpl
def register_media_provider(type, name, config):
    return None
"""


def block(text: str, provider: str) -> str:
    """Return what is printed of one provider, on one line."""
    [found] = [part for part in text.split("\n\n") if part.startswith(f"{provider}\n")]
    return " ".join(found.split())


def test_each_provider_is_shown_with_its_settings_in_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run("providers", "--all")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "…" not in done.out
    forvo = block(done.out, "audio/forvo")
    assert "what it is Words spoken by people, from forvo.com; needs a key" in forvo
    assert "plugin deckwright_builtins.forvo (built-in)" in forvo
    assert 'install pip install "deckwright[online]"' in forvo
    assert "requests 2 for each item" in forvo
    assert "credit Pronunciations by Forvo (forvo.com)" in forvo
    assert "api_key the key of your Forvo plan (text; required; a secret)" in forvo
    assert """(one of 'free', 'commercial', 'corporate'; "free" when not set)""" in forvo
    assert "max_concurrent how many requests at once (a whole number; at least 1; 4 when not set)" in forvo
    espeak = block(done.out, "audio/espeak")
    assert "set up as espeak" in espeak
    assert "requests" not in espeak


def test_a_provider_that_is_not_described_is_shown_with_its_plugin(run: Run, folder: Path) -> None:
    bell = block(run("providers", "--all", "--config", "bell.toml").out, "audio/bell")
    assert "bell.py" in bell.replace(" ", "")
    assert "set up as bell" in bell
    assert "settings its plugin describes none" in bell


def test_settings_that_cannot_be_described_harm_no_other_provider(run: Run, folder: Path) -> None:
    Path("strange.py").write_text(STRANGE)
    Path("strange.toml").write_text(
        'plugins.paths = ["strange.py"]\n[providers.audio.pico]\npipelines = ["*"]\n'
    )
    for option in ("--all", "--json"):
        done = run("providers", option, "-c", "strange.toml")
        assert done.code == 0
        assert "forvo" in done.out
        assert "audio/strange: its settings cannot be described: " in done.out + done.err
        assert "NoSuchType" in done.out + done.err
    shown = run("providers", "--all", "-c", "strange.toml").out
    assert "settings its plugin describes none" in block(shown, "audio/free")


def test_json_says_which_settings_are_secret(run: Run) -> None:
    rows = json.loads(run("providers", "--json").out)["providers"]
    [forvo] = [row for row in rows if row["name"] == "forvo"]
    settings = {setting["name"]: setting for setting in forvo["settings"]}
    assert settings["api_key"]["secret"] is True
    assert settings["plan"]["secret"] is False
    assert settings["max_retries"]["limits"] == "at least 0"
