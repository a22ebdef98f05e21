"""The built-in plugins keep to the contracts that plugin authors test theirs with."""
# ruff: noqa: RUF012 - attributes as a plugin author writes them

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from fake_anki.server import AnkiServer

from deckwright.testing import (
    AudioProviderContract,
    DataProviderContract,
    ImageProviderContract,
    PluginContract,
    SyncProviderContract,
)
from deckwright.testing.servers import ForvoServer, OpenAIServer, RunwareServer
from deckwright_builtins import anki, apkg, csv, espeak, forvo, json, openai, pico, pictogram, runware

without_pico = pytest.mark.skipif(sys.platform == "darwin", reason="there is no py-nanotts for macOS")


class TestPicoPlugin(PluginContract):
    plugin = pico


class TestEspeakPlugin(PluginContract):
    plugin = espeak


class TestPictogramPlugin(PluginContract):
    plugin = pictogram


class TestForvoPlugin(PluginContract):
    plugin = forvo
    settings = {("audio", "forvo"): {"api_key": "a-key", "usernames": ["ana"]}}


class TestOpenAIPlugin(PluginContract):
    plugin = openai
    settings = {("image", "openai"): {"api_key": "a-key"}}


class TestRunwarePlugin(PluginContract):
    plugin = runware
    settings = {("image", "runware"): {"api_key": "a-key"}}


class TestApkgPlugin(PluginContract):
    plugin = apkg


class TestAnkiPlugin(PluginContract):
    plugin = anki


class TestCsvPlugin(PluginContract):
    plugin = csv


class TestJsonPlugin(PluginContract):
    plugin = json


@without_pico
class TestPico(AudioProviderContract):
    plugin = pico
    name = "pico"
    words = (("manzana", "es"), ("house", "en"), ("Straße", "de"))
    wrong_settings = {"voice": "xx-XX", "volume": -1, "speed": 0, "pitch": 3}


class TestEspeak(AudioProviderContract):
    plugin = espeak
    name = "espeak"
    words = (("manzana", "es"), ("дом", "ru"), ("Straße", "de"))
    wrong_settings = {"speed": 0, "pitch": -1, "volume": -1}


class TestForvo(AudioProviderContract):
    plugin = forvo
    name = "forvo"
    words = (("casa", "es"), ("perro", "es"))
    wrong_settings = {
        "plan": "cheap",
        "country_priorities": ["Atlantis"],
        "api_key": "ends in a line break\n",
    }

    @pytest.fixture
    def settings(self, forvo_server: ForvoServer) -> dict[str, Any]:
        return {"api_key": forvo_server.key, "base_url": forvo_server.base_url}


class TestPictogram(ImageProviderContract):
    plugin = pictogram
    name = "pictogram"
    words = (("perro", "es"), ("house", "en"))
    wrong_settings = {"translation_language": ""}


class TestOpenAI(ImageProviderContract):
    plugin = openai
    name = "openai"
    words = (("casa", "es"), ("house", "en"))
    wrong_settings = {"size": "large", "width": 512, "api_key": "two words", "cost_per_image": -1}

    @pytest.fixture
    def settings(self, openai_server: OpenAIServer) -> dict[str, Any]:
        return {"api_key": openai_server.key, "base_url": openai_server.base_url}


class TestRunware(ImageProviderContract):
    plugin = runware
    name = "runware"
    words = (("casa", "es"), ("house", "en"))
    wrong_settings = {"width": 0, "batch_size": 0, "base_url": "runware.ai"}

    @pytest.fixture
    def settings(self, runware_server: RunwareServer) -> dict[str, Any]:
        return {"api_key": runware_server.key, "base_url": runware_server.base_url}


class TestApkg(SyncProviderContract):
    plugin = apkg
    name = "apkg"
    wrong_settings = {"path": ""}


class TestAnki(SyncProviderContract):
    """Notes go over as a package."""

    plugin = anki
    name = "anki"
    wrong_settings = {"url": "localhost", "launch_wait_time": -1}

    @pytest.fixture
    def settings(self, anki_server: AnkiServer) -> dict[str, Any]:
        return {"url": anki_server.base_url}


class TestAnkiNoteByNote(TestAnki):
    """Notes are added by themselves, since Anki cannot read the package."""

    @pytest.fixture
    def settings(self, anki_server: AnkiServer) -> dict[str, Any]:
        anki_server.refuse("importPackage", "[Errno 13] Permission denied", times=1000)
        return {"url": anki_server.base_url}


class TestCsv(DataProviderContract):
    plugin = csv
    name = "csv"
    identifier = "lists/words.csv"
    wrong_settings = {"delimiter": "and", "encoding": "klingon"}

    @pytest.fixture
    def settings(self, tmp_path: Path) -> dict[str, Any]:
        return {"base_path": tmp_path / "data"}


class TestJson(DataProviderContract):
    plugin = json
    name = "json"
    wrong_settings = {"base_path": ""}

    @pytest.fixture
    def settings(self, tmp_path: Path) -> dict[str, Any]:
        return {"base_path": tmp_path / "data"}
