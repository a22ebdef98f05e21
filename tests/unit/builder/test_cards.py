"""The cards of a build's note type, as the real Anki makes and renders them."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from deckwright import Deck, Note
from deckwright.anki.note_type import FIELDS, NOTE_TYPE_ID, NOTE_TYPE_NAME, note_type
from deckwright.builder.notes import escape
from deckwright_builtins.apkg import Apkg

CollectionMaker = Callable[[], Any]


class Shown(HTMLParser):
    """The text that a browser shows of some HTML, and the elements in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def collection(anki_collection: CollectionMaker, tmp_path: Path) -> Callable[..., Any]:
    """Makes a collection with one note for every dict of fields."""

    def make(*notes: dict[str, str]) -> Any:
        for name in ("gato.mp3", "gato.svg"):
            (tmp_path / name).write_bytes(b"content")
        deck = Deck(
            "Cards",
            note_type(),
            tuple(Note(f"guid{number}", fields) for number, fields in enumerate(notes)),
            (tmp_path / "gato.mp3", tmp_path / "gato.svg"),
            tmp_path / "cards.apkg",
        )
        result = Apkg().sync_deck(deck)
        assert result.success, result.error_message
        anki = anki_collection()
        anki.import_package(deck.output)
        return anki

    return make


FULL = {
    "Word": "el gato",
    "Reading": "ga-to",
    "Translation": "cat",
    "Example": "El gato duerme.",
    "Sound": "[sound:gato.mp3]",
    "Picture": '<img src="gato.svg" alt="">',
    "Extra": "<dl><dt>gender</dt><dd>masculine</dd></dl>",
    "Credit": "Picture: OpenMoji",
    "Language": "es",
}


def test_what_anki_knows_the_note_type_by_never_changes() -> None:
    # Written out once more: another value here means that no learner's deck is ever updated again.
    assert (NOTE_TYPE_ID, NOTE_TYPE_NAME) == (1702169435, "Deckwright")
    assert " ".join(FIELDS) == "Word Reading Translation Example Sound Picture Extra Credit Language"
    assert [template.name for template in note_type().templates] == ["Recognise", "Recall", "Listen"]


@pytest.mark.parametrize(
    ("missing", "cards"),
    [
        ((), ["Recognise", "Recall", "Listen"]),
        (("Sound",), ["Recognise", "Recall"]),
        (("Picture",), ["Recognise", "Recall", "Listen"]),
        (("Translation",), ["Recognise", "Recall", "Listen"]),
        (("Translation", "Picture"), ["Recognise", "Listen"]),
        (tuple(FIELDS[1:]), ["Recognise"]),
    ],
)
def test_a_note_has_the_cards_that_its_fields_allow(
    collection: Callable[..., Any], missing: tuple[str, ...], cards: list[str]
) -> None:
    anki = collection({name: content for name, content in FULL.items() if name not in missing})
    assert anki.cards() == {"el gato": cards}


def test_anki_finds_no_card_empty_and_none_wanting(collection: Callable[..., Any]) -> None:
    without = [{**FULL, "Word": f"without {name}", name: ""} for name in FIELDS[1:]]
    anki = collection(FULL, {"Word": "only a word"}, *without)
    before = anki.cards()

    assert not anki.col.get_empty_cards().notes
    for note in anki.notes():
        anki.col.after_note_updates([note.id], mark_modified=False)  # makes the cards that are wanting
    assert anki.cards() == before


def test_recognise_asks_for_the_meaning(collection: Callable[..., Any]) -> None:
    card = collection(FULL).card("el gato", "Recognise")
    assert Shown(card.question()).text.split() == ["el", "gato", "[anki:play:q:0]"]
    assert "cat" in Shown(card.answer()).text


def test_recall_asks_for_the_word_and_does_not_give_it_away(collection: Callable[..., Any]) -> None:
    card = collection(FULL).card("el gato", "Recall")
    question = Shown(card.question())
    assert question.text.split() == ["cat"]
    assert "img" in question.tags
    assert not card.question_av_tags()
    assert "el gato" in Shown(card.answer()).text


def test_listen_asks_with_the_sound_alone(collection: Callable[..., Any]) -> None:
    card = collection(FULL).card("el gato", "Listen")
    question = Shown(card.question())
    assert question.text.split() == ["[anki:play:q:0]"]
    assert "img" not in question.tags


@pytest.mark.parametrize("name", ["Recognise", "Recall", "Listen"])
def test_every_answer_shows_all_that_is_known_of_the_word(collection: Callable[..., Any], name: str) -> None:
    card = collection(FULL).card("el gato", name)
    answer = Shown(card.answer())
    for part in ("el gato", "ga-to", "cat", "El gato duerme.", "gender", "masculine", "Picture: OpenMoji"):
        assert answer.text.count(part) >= 1, part
    assert answer.tags.count("img") == 1
    assert [tag.filename for tag in card.answer_av_tags()] == ["gato.mp3"]


def test_an_answer_has_no_trace_of_what_is_not_known(collection: Callable[..., Any]) -> None:
    answer = Shown(collection({"Word": "sin embargo"}).card("sin embargo", "Recognise").answer())
    assert answer.text.split() == ["sin", "embargo"]
    assert set(answer.tags) == {"main", "h1", "hr"}


@pytest.mark.parametrize(
    "word",
    [
        "<script>alert(1)</script>",
        "{{c1::x}}",
        "{{Word}}",
        "{{FrontSide}}",
        "R&D &amp; co",
        "\"'",
        "[sound:x.mp3]",
        "\\(x\\)",
    ],
)
def test_any_word_is_shown_as_text(collection: Callable[..., Any], word: str) -> None:
    anki = collection({"Word": escape(word), "Translation": escape(word)})
    [note] = anki.notes()
    for card in note.cards():
        for shown in (Shown(card.question()), Shown(card.answer())):
            assert word in shown.text.replace("\u2060", "")  # which parts a backslash and a bracket
            assert "script" not in shown.tags
        assert not card.question_av_tags()


@pytest.mark.parametrize("name", ["Recognise", "Recall", "Listen"])
def test_text_of_either_direction_finds_its_own(collection: Callable[..., Any], name: str) -> None:
    answer = collection(FULL).card("el gato", name).answer()
    for part in ("word", "reading", "translation", "example"):
        assert re.search(f'class="{part}" dir="auto"', answer)


def test_cards_need_no_script_and_nothing_from_elsewhere() -> None:
    made = note_type()
    for text in (made.css, *(side for card in made.templates for side in (card.front, card.back))):
        assert not re.search(r"<script|<link|javascript:|https?://|//\w|url\(|@import|@font-face", text)


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_text_stands_out_from_its_ground(ground: str) -> None:
    # WCAG 2.1 asks for 4.5 : 1 for text of any size.
    first, second = re.findall(r"--paper.*?\}", note_type().css, flags=re.DOTALL)[:2]
    colours = dict(re.findall(r"--(\w+): (#\w{6});", first if ground == "light" else second))
    for name in ("ink", "quiet", "accent"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name


def test_pictures_keep_a_light_ground_in_the_dark() -> None:
    # OpenMoji draws in black; 3 : 1 is what WCAG 2.1 asks for graphics.
    for tile in re.findall(r"--tile: (#\w{6});", note_type().css):
        assert contrast("#000000", tile) >= 3


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.1, from 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
