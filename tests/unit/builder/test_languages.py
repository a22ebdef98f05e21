"""Languages: given by tag, by English name, or by a file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deckwright import ConfigError, DataError
from deckwright.toolkit.languages import language_in_name, language_tag


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("es", "es"),
        ("ES", "es"),
        (" es ", "es"),
        ("es_mx", "es-MX"),
        ("pt-br", "pt-BR"),
        ("zh-hant-tw", "zh-hant-TW"),
        ("yue", "yue"),
        ("Spanish", "es"),
        ("japanese", "ja"),
        ("NORWEGIAN", "nb"),
    ],
)
def test_a_tag_or_an_english_name_gives_the_tag(text: str, tag: str) -> None:
    assert language_tag(text) == tag


@pytest.mark.parametrize("text", ["", "-", "e", "klingon!", "español", "es-", "es--MX", "e s", "es;rm"])
def test_anything_else_is_not_a_language(text: str) -> None:
    with pytest.raises(DataError, match="is not a language") as caught:
        language_tag(text)
    assert caught.value.hint


def test_a_misspelt_name_is_recognised() -> None:
    with pytest.raises(DataError, match="did you mean 'portuguese'"):
        language_tag("Portugese")


@given(st.text())
def test_a_tag_is_its_own_tag(text: str) -> None:
    try:
        tag = language_tag(text)
    except DataError:
        return
    assert language_tag(tag) == tag


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("spanish.csv", "es"),
        ("Spanish.CSV", "es"),
        ("my-german-verbs.csv", "de"),
        ("1000_japanese_words.tsv", "ja"),
        ("es.txt", "es"),
        ("words.fr.csv", "fr"),
        # None of these names a language.
        ("words.csv", None),
        ("chinese-english.csv", None),
        ("to-do-it.csv", None),
        ("this is it.csv", None),
        ("español.csv", None),
        (".csv", None),
    ],
)
def test_a_files_name_gives_the_language_when_it_names_just_one(name: str, language: str | None) -> None:
    assert language_in_name(Path("german", name)) == language


class TestWhichLanguageAWordHas:
    """The word's own is nearest, then what was asked for, then the configuration's, then the file name's."""

    @pytest.fixture
    def spoken(
        self, build: Callable[..., Any], fake_provider: Any, tmp_path: Path
    ) -> Callable[..., list[str]]:
        def spoken(*rows: str, **options: Any) -> list[str]:
            path = tmp_path / "german.csv"
            path.write_text("\n".join(["word,language", *rows]), encoding="utf-8")
            voice = fake_provider(lambda request: b"ID3 sound")
            build(path, audio={"voice": voice}, **options)
            return [request.params["language"] for request in voice.requests]

        return spoken

    def test_the_files_name(self, spoken: Callable[..., list[str]]) -> None:
        assert spoken("Hund", language=None) == ["de"]

    def test_the_configurations(self, spoken: Callable[..., list[str]]) -> None:
        assert spoken("hund", language=None, config={"build": {"language": "Danish"}}) == ["da"]

    def test_the_one_asked_for(self, spoken: Callable[..., list[str]]) -> None:
        assert spoken("hond", language="nl-be", config={"build": {"language": "da"}}) == ["nl-BE"]

    def test_the_words_own(self, spoken: Callable[..., list[str]]) -> None:
        assert spoken("hond", "dog,english", "hond,nl", language="af") == ["af", "en", "nl"]


def test_an_unknown_language_in_the_configuration_is_a_fault_of_that(build: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"build\.language: .*'klingon' is not allowed"):
        build(["qapla"], language=None, config={"build": {"language": "klingon"}})
