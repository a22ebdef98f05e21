"""What of a request, and of the settings, makes a built-in provider deliver something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from deckwright import MediaProvider, MediaRequest
from deckwright.toolkit.http import HttpSettings
from deckwright_builtins.espeak import Espeak
from deckwright_builtins.forvo import Forvo
from deckwright_builtins.openai import OpenAI
from deckwright_builtins.pico import Pico
from deckwright_builtins.pictogram import Pictogram
from deckwright_builtins.runware import Runware

CLASSES: dict[str, type[MediaProvider]] = {
    "pico": Pico,
    "espeak": Espeak,
    "forvo": Forvo,
    "pictogram": Pictogram,
    "openai": OpenAI,
    "runware": Runware,
}
KEY = "a-key-of-mine"
PAINTERS = ("openai", "runware")
ONLINE = ("forvo", *PAINTERS)
SPEAKERS = ("pico", "espeak")
PERRO = {"word": "el perro", "language": "es", "translation": "the dog", "reading": ""}


def key_of(name: str, settings: Mapping[str, Any] = MappingProxyType({}), /, **known: str) -> str:
    given = {**({"api_key": KEY} if name in ONLINE else {}), **settings}
    params = {**PERRO, **known}
    kind = "image" if name in ("pictogram", *PAINTERS) else "audio"
    with closing(CLASSES[name](given)) as provider:
        return json.dumps(provider.cache_key(MediaRequest(kind, params.pop("word"), params)), sort_keys=True)


def pairs(*groups: tuple[tuple[str, ...], list[dict[str, Any]]]) -> list[Any]:
    """Return each provider of a group with each of the group's changes."""
    return [
        pytest.param(name, change, id=f"{name}-{change}")
        for names, changes in groups
        for name in names
        for change in changes
    ]


@pytest.mark.parametrize(
    ("name", "known"),
    pairs(
        (SPEAKERS, [
            {"translation": "a dog"}, {"example": "¡Perro!"}, {"reading": "pero"}, {"language": "ES"},
            {"word": " el  perro\n"},
        ]),
        (("forvo",), [{"translation": "a dog"}, {"example": "¡Perro!"}, {"reading": "pero"}, {"word": "el  perro "}]),
        (("pictogram",), [{"example": "¡Perro!"}]),
        (PAINTERS, [{"example": "¡Perro!"}, {"reading": "pero"}]),
    ),
)  # fmt: skip
def test_what_is_not_looked_at_makes_nothing_again(name: str, known: dict[str, str]) -> None:
    assert key_of(name, **known) == key_of(name)


@pytest.mark.parametrize(
    ("name", "known"),
    pairs(
        (tuple(CLASSES), [{"word": "el gato"}, {"language": "de"}]),
        ((*SPEAKERS, "forvo"), [{"language": "es-MX"}]),
        (("pictogram",), [{"translation": "the puppy"}, {"reading": "pero"}]),
        (PAINTERS, [{"translation": "the puppy"}]),
    ),
)
def test_what_is_looked_at_does(name: str, known: dict[str, str]) -> None:
    assert key_of(name, **known) != key_of(name)


def test_letters_that_are_composed_and_taken_apart_are_the_same() -> None:
    for name in (*SPEAKERS, "forvo"):
        assert key_of(name, word="n\u0303andu\u0301") == key_of(name, word="\u00f1and\u00fa")


def test_japanese_is_spoken_by_its_reading() -> None:
    japanese = {"word": "日本", "language": "ja"}
    assert key_of("espeak", **japanese, reading="にほん") != key_of("espeak", **japanese, reading="にっぽん")
    assert key_of("espeak", **japanese, reading="にほん") == key_of("espeak", word="にほん", language="ja")


def test_the_country_of_a_tag_counts_where_no_country_is_preferred() -> None:
    preferred = {"country_priorities": ["ES"]}
    assert key_of("forvo", preferred, language="es-MX") == key_of("forvo", preferred, language="es-AR")
    assert key_of("forvo", language="es-MX") != key_of("forvo", language="es-AR")
    assert key_of("forvo", language="es-MX") == key_of("forvo", language="es_mx")


@pytest.mark.parametrize("name", PAINTERS)
def test_what_is_requested_in_the_same_words_is_the_same(name: str) -> None:
    plain = key_of(name, {"prompt": "Draw {word}. Style: ink"})
    assert key_of(name, {"prompt": "Draw {word}.", "style": "ink"}) == plain
    assert key_of(name, {"prompt": "Draw {word}.", "style": "oil"}) != plain
    assert key_of(name, {"prompt": "Draw {meaning}. Style: ink"}) != plain


@pytest.mark.parametrize(
    ("name", "settings"),
    pairs(
        (ONLINE, [
            {"timeout": 7.0}, {"max_retries": 0}, {"longest_wait": 1.0}, {"max_concurrent": 1},
            {"requests_per_second": 5.0}, {"user_agent": "another"}, {"api_key": "another-key"},
        ]),
        (PAINTERS, [{"cost_per_image": 0.5}, {"cost_limits": {"daily_limit_usd": 1}}]),
        (("openai",), [{"usage_prices": {"output": 1.0}}]),
        (("runware",), [{"batch_size": 2}, {"output_type": "base64Data"}]),
        (("espeak",), [{"timeout": 5.0}]),
        (("forvo",), [{"plan": "commercial"}, {"base_url": "https://forvo.test"}]),
    ),
)  # fmt: skip
def test_settings_that_change_no_result_make_nothing_again(name: str, settings: dict[str, Any]) -> None:
    assert key_of(name, settings) == key_of(name)


@pytest.mark.parametrize(
    ("name", "settings"),
    pairs(
        (SPEAKERS, [{"pitch": 2}, {"voice": "en-GB"}, {"volume": 1}]),
        (("forvo",), [{"usernames": ["ana"]}, {"sex": "f"}, {"audio_format": "ogg"}, {"priority_groups": [["MX"]]}]),
        (("pictogram",), [{"translation_language": "de"}]),
        (PAINTERS, [
            {"base_url": "https://painter.test/v1"}, {"model": "another:1@1"}, {"width": 1024, "height": 1024},
            {"style": "ink"}, {"prompt": "Draw {word}."},
        ]),
        (("openai",), [{"quality": "high"}, {"background": "opaque"}]),
        (("runware",), [{"seed": 42}, {"steps": 9}, {"negative_prompt": "text"}, {"output_format": "PNG"}]),
    ),
)  # fmt: skip
def test_settings_that_change_a_result_do(name: str, settings: dict[str, Any]) -> None:
    assert key_of(name, settings) != key_of(name)


@pytest.mark.parametrize("name", ONLINE)
def test_no_key_of_a_service_is_in_it(name: str) -> None:
    assert KEY not in key_of(name)


def test_how_a_service_is_spoken_to_changes_nothing() -> None:
    assert {
        field.name for field in attrs.fields(HttpSettings) if field.metadata.get("changes_output", True)
    } == set()


@pytest.mark.parametrize("name", ONLINE)
def test_as_many_at_once_as_the_settings_allow(name: str) -> None:
    with closing(CLASSES[name]({"api_key": KEY, "max_concurrent": 7})) as provider:
        assert provider.at_once == 7


def test_a_request_to_forvo_costs_nothing() -> None:
    with closing(Forvo({"api_key": KEY})) as provider:
        found = provider.get_cost_estimate([MediaRequest("audio", "perro")] * 3)
    assert found == {"total_cost": 0.0, "per_request": 0.0, "requests_count": 3}
