"""Notes: text stays text, also where it looks like markup, and a note is the same note in the next build."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deckwright import build_deck
from deckwright.builder.notes import escape

Build = Callable[..., Any]

# What HTML, Anki's templates, its sounds, its clozes or MathJax would make something else of; and what might
# get lost on the way.
NASTY = [
    "<script>alert(1)</script>",
    "<b>bold</b>",
    "<!-- gone -->",
    '<img src=x onerror="alert(1)">',
    "a & b",
    "&lt;",
    "&#65;",
    "{{c1::x}}",
    "{{Word}}",
    "{{#Translation}}x{{/Translation}}",
    "{{FrontSide}}",
    "[sound:x.mp3]",
    "[anki:tts lang=es_ES]x[/anki:tts]",
    "[latex]x[/latex]",
    "\\(x\\)",
    "\\[x\\]",
    "$$x$$",
    "\"double\" and 'single'",
    "C:\\new\\table",
    "100 %",
    "#hash",
    "-- dash",
    "one\ntwo",
    "שָׁלוֹם",
    "مرحبا (hello)",
    "👩🏽‍🚀 🇪🇸",
    "e\u0301",
    "\ufeffmark",
    "tab\tand\u00a0space",
    "straße Å",
    "=SUM(A1)",
    "nul\x00l",
    "bell\x07",
]


class Shown(HTMLParser):
    """The lines of text that a browser shows of a card, without its style, and the elements in it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text, self.tags, self._hidden = "", set(), False
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._hidden = tag == "style"
        self.text += "\n" if tag == "br" else ""

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data


def printable(text: str) -> str:
    """Return text as one may see it, without what has neither ink nor width."""
    composed = unicodedata.normalize("NFC", text)
    unseen = "\ufeff\u2060"
    return "".join(c for c in composed if (c >= " " or c in "\n\t") and c not in unseen).strip()


def test_anki_shows_every_word_as_it_was_written(anki_collection: Callable[[], Any], tmp_path: Path) -> None:
    config = {"providers": {"sync": {"apkg": {"pipelines": ["*"]}}}}
    rows = [
        {"word": f"{number}: {text}", "translation": text, "example": text, "more": text}
        for number, text in enumerate(NASTY)
    ]
    report = build_deck(rows, language="es", config=config, output=tmp_path / "nasty.apkg")
    assert (report.words, report.repeated) == (len(NASTY), 0)

    collection = anki_collection()
    collection.import_package(tmp_path / "nasty.apkg")
    notes = collection.notes()
    assert len(notes) == len(NASTY)
    for number, (note, text) in enumerate(zip(notes, NASTY, strict=True)):
        cards = {card.template()["name"]: card for card in note.cards()}
        question = Shown(cards["Recognise"].question())
        assert printable(question.text) == printable(f"{number}: {text}")
        answer = Shown(cards["Recall"].answer())
        for shown in (question, answer):
            assert not shown.tags & {"script", "img", "b", "audio"}
        assert printable(answer.text).count(printable(text)) == 4
        assert not cards["Recognise"].answer_av_tags()


@given(st.text())
def test_escaped_text_reads_as_it_was_written(text: str) -> None:
    escaped = escape(text)
    shown = html.unescape(escaped.replace("<br>", "\n"))
    # Joiners, which have neither ink nor width, keep Anki from reading a formula.
    assert shown.replace("\u2060", "") == "\n".join(text.replace("\u2060", "").splitlines())
    assert not set(escaped.replace("<br>", "")) & set("<>{[\"'")


class TestTheSameNote:
    """Anki updates a note when its identity is the same, and adds one when it is not."""

    def identity(self, build: Build, *rows: Any, **options: Any) -> list[str]:
        return [note.guid for note in build(rows, **{"deck": "Spanish", **options}).deck.notes]

    def test_is_the_same_in_every_build(self, build: Build) -> None:
        # Written out: another value here means that no learner's deck is ever updated again.
        assert self.identity(build, "pan") == ["ae924a6c053e1baf6e09"]

    def test_stays_the_same_when_all_but_the_word_changes(self, build: Build) -> None:
        row = {"word": "pan", "translation": "bred", "example": "Pan.", "tags": "food"}
        changed = {"word": "pan", "translation": "bread", "example": "El pan.", "tags": "noun", "more": "x"}
        assert self.identity(build, row) == self.identity(build, changed)

    def test_stays_the_same_wherever_it_stands_in_the_list(self, build: Build) -> None:
        assert self.identity(build, "pan", "vino") == self.identity(build, "vino", "pan")[::-1]

    def test_is_another_for_another_word_reading_language_or_deck(self, build: Build) -> None:
        row = {"word": "pan", "reading": "pan", "language": "es"}
        others = [{**row, "word": "pán"}, {**row, "reading": "paan"}, {**row, "language": "pl"}]
        found = [*self.identity(build, row, *others), *self.identity(build, row, deck="Other")]
        assert len(set(found)) == len(found) == 5


def test_a_deck_is_named_as_asked_or_configured_or_for_its_list(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "german_verbs in_A1.txt"
    path.write_text("gehen\n", encoding="utf-8")
    configured = {"build": {"deck": "Deutsch::Verben"}}
    assert build(path).deck.name == "German verbs in A1"
    assert build(path, config=configured).deck.name == "Deutsch::Verben"
    assert build(path, config=configured, deck="Mine").deck.name == "Mine"
    assert build(["gehen"]).deck.name == "Deckwright"


def test_a_formula_is_text_too() -> None:
    shown = html.unescape(escape(r"\(x^2\) and \[y\]"))
    assert r"\(" not in shown
    assert r"\[" not in shown
    assert shown.replace("\u2060", "") == r"\(x^2\) and \[y\]"
