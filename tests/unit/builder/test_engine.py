"""Engines: where providers do their work, chosen by name, and brought by a plugin."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_providers as shared
import pytest
from fake_providers import DEADLINE, DeckBuilder, sound

from deckwright import BuildError, BuildReport, DeckwrightError, UnknownProviderError

WORDS = ["uno", "dos", "tres", "cuatro"]
ENGINE = """
import fake_providers
from deckwright import BuildError, ConfigError, Engine, ProviderInfo, TransientError, hookimpl

class Diary(Engine):
    def start(self, registry):
        super().start(registry)
        fake_providers.NOTES.append("start")
        if self.config.get("is_closed"):
            raise ConfigError("The diary is closed.", hint="Open it.")

    def at_once(self, type, instance, provider_allows):
        return self.config.get("at_once", provider_allows)

    def generate(self, type, instance, request):
        fake_providers.NOTES.append(f"{type}.{instance} {request.content}")
        if request.content == self.config.get("ends_at"):
            raise BuildError("All workers are gone.", hint="Start some.")
        if (instance, request.content) == ("first", self.config.get("loses")):
            raise TransientError("The worker was lost.", reply_lost=True)
        return super().generate(type, instance, request)

    def close(self):
        fake_providers.NOTES.append("close")

@hookimpl
def describe_media_providers():
    return [ProviderInfo("engine", "diary", "Notes everything down")]

@hookimpl
def register_media_provider(type, name, config):
    return Diary(config) if (type, name) == ("engine", "diary") else None
"""


@pytest.fixture
def build(builder: DeckBuilder, tmp_path: Path) -> Callable[..., BuildReport]:
    """Builds with an engine: a plugin's, with these settings if any."""
    (tmp_path / "diary.py").write_text(ENGINE, encoding="utf-8")

    def build(words: Any = WORDS, engine: str = "diary", **settings: Any) -> BuildReport:
        engines = {"engine": {engine: {"type": "diary", "pipelines": ["*"], **settings}}} if settings else {}
        plugins = {"paths": [str(builder.plugin), str(tmp_path / "diary.py")]}
        config = builder.config(plugins=plugins, build={"engine": engine}, providers=engines)
        return builder.build(words, config=config)

    return build


def test_an_engine_is_chosen_by_name_and_need_not_be_configured(
    builder: DeckBuilder, build: Callable[..., BuildReport]
) -> None:
    builder.add_voice()
    assert build().delivered == {"sounds": (4, 4)}
    work = [f"audio.voice {word}" for word in WORDS]
    assert ["start", *work, "close"] == shared.NOTES


def test_a_configured_one_has_its_settings(builder: DeckBuilder, build: Callable[..., BuildReport]) -> None:
    builder.add_voice()
    build(engine="mine", loses="dos")
    assert "audio.voice dos" in shared.NOTES


def test_what_is_cached_does_not_depend_on_it(
    builder: DeckBuilder, build: Callable[..., BuildReport]
) -> None:
    voice = builder.add_voice()
    builder.build(WORDS)
    voice.requested()
    assert build().cached == {"sounds": 4}
    assert (voice.requested(), shared.NOTES[:2]) == ([], ["start", "close"])


def test_it_says_how_many_it_takes_at_once(builder: DeckBuilder, build: Callable[..., BuildReport]) -> None:
    together = threading.Barrier(3)

    def meet(request: Any, settings: Any) -> bytes:
        if request.content in WORDS[:3]:
            together.wait(DEADLINE)
        return sound(request, settings)

    voice = builder.add_voice(make=meet)
    assert build(at_once=3).delivered == {"sounds": (4, 4)}
    assert voice.most == 3


def test_work_that_it_loses_is_a_failure_of_that_moment(
    builder: DeckBuilder, build: Callable[..., BuildReport]
) -> None:
    builder.add_voice("first", price=0.5)
    builder.add_voice("second")
    report = build(loses="dos")
    assert report.sources == {"sounds": {"first": 3, "second": 1}}
    # It may have been done, and charged.
    assert report.cost == pytest.approx(2.0)


def test_an_engine_that_can_do_nothing_any_more_ends_the_build_and_what_was_made_is_cached(
    builder: DeckBuilder, build: Callable[..., BuildReport]
) -> None:
    voice = builder.add_voice()
    with pytest.raises(BuildError, match="All workers are gone") as caught:
        build(ends_at="tres")
    assert caught.value.hint == "Start some."
    assert shared.NOTES[-1] == "close"
    assert "audio.voice cuatro" not in shared.NOTES
    voice.requested()
    assert builder.build(WORDS).cached == {"sounds": 2}
    assert voice.requested() == ["cuatro", "tres"]
    assert list((builder.store / "runs").iterdir()) == []


def test_one_that_cannot_start_asks_nobody(builder: DeckBuilder, build: Callable[..., BuildReport]) -> None:
    voice = builder.add_voice()
    with pytest.raises(DeckwrightError, match="The diary is closed"):
        build(is_closed=True)
    assert (voice.requested(), shared.NOTES[:2]) == ([], ["start", "close"])


def test_an_unknown_one_is_reported_with_those_that_are_alike(
    builder: DeckBuilder, build: Callable[..., BuildReport]
) -> None:
    voice = builder.add_voice()
    with pytest.raises(UnknownProviderError, match="did you mean 'diary'"):
        build(engine="dairy")
    assert voice.requested() == []
