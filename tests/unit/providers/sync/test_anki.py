"""Decks in a running Anki, by both releases of its add-on.

The collection is the one in memory, which `tests/anki/test_fake_anki.py` compares with that of the real Anki.
The real one is used where the whole way is tested once, and for what the one in memory cannot do.
"""

from __future__ import annotations

import hashlib
import html
import json
import logging
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import tenacity
from fake_anki.actions import AnkiConnect
from fake_anki.collection import AnkiNote
from fake_anki.memory import MemoryCollection
from fake_anki.real_collection import RealCollection
from fake_anki.server import AnkiServer, is_call_of

from deckwright import (
    AuthenticationError,
    BuildError,
    CardTemplate,
    Deck,
    MediaProvider,
    MediaRequest,
    MediaResult,
    Note,
    NoteType,
    ProviderError,
    SettingError,
    SyncResult,
    build_deck,
    hookimpl,
)
from deckwright.anki.package import write_package
from deckwright.testing.servers import Dropped, HtmlPage, LostReply, Reply, Slow
from deckwright.toolkit.http.client import HttpClient
from deckwright_builtins import anki as plugin
from deckwright_builtins.anki import Anki
from deckwright_builtins.anki.notes import ExistingNote

NEW, OLD = "25.11.9", "23.10.29"
READING = {
    "apiReflect",
    "deckNames",
    "deckNamesAndIds",
    "findCards",
    "findNotes",
    "getActiveProfile",
    "getDecks",
    "getMediaDirPath",
    "getMediaFilesNames",
    "modelFieldNames",
    "modelNamesAndIds",
    "modelStyling",
    "modelTemplates",
    "multi",
    "notesInfo",
    "requestPermission",
}
WORD = NoteType(
    1500000000,
    "Word",
    ("Word", "Reading", "Translation", "Sound", "Picture"),
    (
        CardTemplate("Recognise", "{{Word}}{{Sound}}", "{{Reading}}{{Translation}}"),
        CardTemplate("Recall", "{{Translation}}{{Picture}}", "{{Word}}"),
        CardTemplate("Listen", "{{#Sound}}{{Sound}}{{/Sound}}", "{{Word}}"),
    ),
    ".card { color: black; }",
)

ONE_CARD = (CardTemplate("Recognise", "{{Word}}", "{{Translation}}"),)
DUPLICATE = "cannot create note because it is a duplicate"

Start = Callable[..., AnkiServer]
Connect = Callable[..., Anki]


# To read all certificates takes longer than most of these tests, and none of them needs any.
CERTIFICATES = ssl.create_default_context()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deckwright.toolkit.http.client._DEFAULT_BACKOFF", tenacity.wait_none())
    monkeypatch.setattr("deckwright_builtins.anki.new_notes._PAUSE", 0.01)
    monkeypatch.setattr("ssl.create_default_context", lambda **_: CERTIFICATES)


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(AnkiServer(*args, **{"tick": 0, **kwargs}))


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes providers, which do not try again unless configured to."""
    made: list[Anki] = []

    def connect(server: AnkiServer, **settings: Any) -> Anki:
        made.append(Anki({"url": server.url, "max_retries": 0, **settings}))
        return made[-1]

    yield connect
    for provider in made:
        provider.close()


@pytest.fixture(params=[NEW, OLD])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def real() -> Iterator[RealCollection]:
    with RealCollection() as made:
        yield made


@pytest.fixture(params=["import", "add"])
def way(request: pytest.FixtureRequest) -> str:
    """How notes get there: as a package, or one by one where Anki imports none."""
    return str(request.param)


# An import is the same with both releases.
COMBINATIONS = [(NEW, "import"), (NEW, "add"), (OLD, "add")]


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def server(start: Start, request: pytest.FixtureRequest) -> AnkiServer:
    """Either release, by either way."""
    version, way = request.param
    return by(way, start(version=version))


@pytest.fixture(
    params=[*((MemoryCollection, *each) for each in COMBINATIONS), (RealCollection, NEW, "import")]
)
def any_server(start: Start, request: pytest.FixtureRequest) -> Iterator[AnkiServer]:
    """The same, and the real Anki, for names that it changes or that its searches could take for something else."""
    make, version, way = request.param
    with make() as collection:
        yield by(way, start(collection, version=version))


@pytest.fixture
def adding(start: Start, version: str) -> AnkiServer:
    """Either release, in memory, where notes can only be added one by one."""
    return by("add", start(version=version))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has Anki run on another machine, which cannot read the files of this one."""
    monkeypatch.setattr(AnkiConnect, "getMediaDirPath", lambda self: "/of/another/machine/collection.media")


def by(way: str, server: AnkiServer) -> AnkiServer:
    if way == "add":
        server.refuse("importPackage", "[Errno 13] Permission denied", times=1000)
    return server


@pytest.fixture
def deck(tmp_path: Path) -> Deck:
    """Three notes, two of them with a sound and one with a picture; eight cards."""
    gato, perro, dibujo = (named_by_content(tmp_path, *each) for each in MEDIA)
    notes = (
        word("gato", "cat", sound=gato, tags=("animals", "pets")),
        word("perro", "dog", sound=perro, picture=dibujo),
        word("hola", "hello"),
    )
    return Deck("Spanish::Basics", WORD, notes, (gato, perro, dibujo))


MEDIA = ((b"miau", "mp3"), (b"guau", "mp3"), (b"dibujo", "svg"))


def named_by_content(folder: Path, content: bytes, ending: str) -> Path:
    path = folder / f"deckwright-{hashlib.sha256(content).hexdigest()[:20]}.{ending}"
    path.write_bytes(content)
    return path


def word(
    text: str,
    translation: str = "x",
    reading: str = "",
    *,
    sound: Path | str | None = None,
    picture: Path | str | None = None,
    tags: tuple[str, ...] = (),
) -> Note:
    fields = {
        "Word": text,
        "Reading": reading,
        "Translation": translation,
        "Sound": f"[sound:{Path(sound).name}]" if sound else "",
        "Picture": f'<img src="{html.escape(Path(picture).name)}">' if picture else "",
    }
    return Note(f"guid-{text}-{translation}-{reading}", fields, tags)


def with_notes(deck: Deck, *notes: Note) -> Deck:
    return attrs.evolve(deck, notes=notes)


def translated(deck: Deck, translation: str) -> Deck:
    """Return the deck with another translation of its first word, which stays the same note."""
    first, *others = deck.notes
    return with_notes(deck, attrs.evolve(first, fields={**first.fields, "Translation": translation}), *others)


def done(result: SyncResult) -> SyncResult:
    assert result.success, result.error_message
    return result


def failure(result: SyncResult) -> str:
    assert not result.success
    return result.error_message


def actions_called(server: AnkiServer, since: int = 0) -> list[str]:
    return [each.action for each in server.calls[since:]]


def written(server: AnkiServer, since: int = 0) -> list[str]:
    """Return the actions that were asked for and may change something."""
    return [action for action in actions_called(server, since) if action not in READING]


def by_word(server: AnkiServer) -> dict[str, AnkiNote]:
    notes = server.notes()
    found = {note.fields["Word"]: note for note in notes}
    assert len(found) == len(notes)
    return found


def state(server: AnkiServer) -> Any:
    return server.notes(), server.media(), server.note_types(), server.decks()


def require_in_order(collection: RealCollection) -> None:
    """Have the real Anki check its collection."""
    media = collection.col.media.check()
    assert (list(media.missing), list(media.unused)) == ([], [])
    _, is_in_order = collection.col.fix_integrity()
    assert is_in_order


class TestHandingOver:
    def test_notes_come_as_a_package_where_they_can(
        self, start: Start, version: str, connect: Connect, deck: Deck, way: str
    ) -> None:
        server = by(way, start(version=version))
        done(connect(server).sync_deck(deck))
        assert ("addNotes" in actions_called(server)) == (way == "add")
        assert (server.note_types()["Word"].id == WORD.id) == (way == "import")

    def test_all_of_the_deck_arrives(self, server: AnkiServer, connect: Connect, deck: Deck) -> None:
        result = done(connect(server).sync_deck(deck))

        notes = by_word(server)
        assert {note.fields["Word"]: note.fields for note in deck.notes} == {
            text: dict(note.fields) for text, note in notes.items()
        }
        assert notes["gato"].tags == ("animals", "pets")
        assert {text: [card.template for card in note.cards] for text, note in notes.items()} == {
            "gato": [0, 1, 2],
            "perro": [0, 1, 2],
            "hola": [0, 1],
        }
        assert {name for note in notes.values() for name in note.decks} == {"Spanish::Basics"}
        assert server.media() == {file.name: file.read_bytes() for file in deck.media}
        note_type = server.note_types()["Word"]
        assert (note_type.fields, note_type.templates, note_type.css) == (
            WORD.fields,
            WORD.templates,
            WORD.css,
        )
        assert result.processed_count == 3
        assert sorted(result.created_ids or []) == sorted(note.id for note in notes.values())
        assert result.metadata["cards"] == 8
        assert result.metadata["summary"] == "3 notes added, 0 updated, 0 unchanged"

    @pytest.mark.parametrize(("version", "way"), COMBINATIONS)
    def test_the_real_anki_gets_the_same(
        self, start: Start, connect: Connect, deck: Deck, real: RealCollection, version: str, way: str
    ) -> None:
        outcomes = []
        for server in (by(way, start(version=version)), by(way, start(real, version=version))):
            done(connect(server).sync_deck(deck))
            recognise, *others = WORD.templates
            templates = (attrs.evolve(recognise, back="<b>{{Translation}}</b>"), *others)
            changed = attrs.evolve(
                translated(deck, "tomcat"), note_type=attrs.evolve(WORD, templates=templates, css=".card {}")
            )
            more = with_notes(changed, *changed.notes, word("vaca", "cow", tags=("animals",)))
            results = [done(connect(server, update_existing=True).sync_deck(each)) for each in (more, more)]
            notes = {
                text: (dict(note.fields), note.tags, [(card.template, card.deck) for card in note.cards])
                for text, note in by_word(server).items()
            }
            note_type = attrs.evolve(server.note_types()["Word"], id=0)
            summaries = [result.metadata["summary"] for result in results]
            outcomes.append(
                (notes, note_type, server.media(), server.decks(), summaries, actions_called(server))
            )
        assert outcomes[0] == outcomes[1]
        require_in_order(real)

    def test_a_second_time_changes_nothing(self, server: AnkiServer, connect: Connect, deck: Deck) -> None:
        provider = connect(server, update_existing=True)
        done(provider.sync_deck(deck))
        before, since = state(server), len(server.calls)
        result = done(provider.sync_deck(deck))
        assert written(server, since) == []
        assert state(server) == before
        assert result.created_ids == []
        assert result.metadata["summary"] == "0 notes added, 0 updated, 3 unchanged"

    def test_a_new_word_is_added(self, server: AnkiServer, connect: Connect, deck: Deck) -> None:
        done(connect(server).sync_deck(deck))
        before = by_word(server)
        result = done(connect(server).sync_deck(with_notes(deck, word("vaca", "cow"), *deck.notes)))
        after = by_word(server)
        assert after.pop("vaca").id == (result.created_ids or [])[0]
        assert after == before
        assert result.metadata["summary"] == "1 note added, 0 updated, 3 unchanged"

    def test_a_changed_translation_updates_its_note(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        done(connect(server).sync_deck(deck))
        before, since = by_word(server), len(server.calls)
        result = done(connect(server, update_existing=True).sync_deck(translated(deck, "tomcat")))
        after = by_word(server)
        assert written(server, since) == ["updateNoteFields"]
        assert after["gato"].fields == {**before["gato"].fields, "Translation": "tomcat"}
        assert (after["gato"].id, after["gato"].tags) == (before["gato"].id, ("animals", "pets"))
        assert (after["perro"], after["hola"]) == (before["perro"], before["hola"])
        assert result.metadata["updated"] == 1

    def test_a_changed_translation_is_reported_where_nothing_may_be_updated(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        done(connect(server).sync_deck(deck))
        before, since = state(server), len(server.calls)
        result = done(connect(server).sync_deck(translated(deck, "tomcat")))
        assert (state(server), written(server, since)) == (before, [])
        assert result.metadata["outdated"] == 1
        assert "1 outdated (set update_existing = true to update them)" in result.metadata["summary"]

    def test_a_provider_that_fails_today_takes_no_sound_away(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        done(connect(server).sync_deck(deck))
        before = by_word(server)
        silent = [
            attrs.evolve(note, fields={**note.fields, "Sound": "", "Picture": "", "Translation": "new"})
            for note in deck.notes
        ]
        done(connect(server, update_existing=True).sync_deck(with_notes(deck, *silent)))
        after = by_word(server)
        assert "[sound:" in before["gato"].fields["Sound"]
        for name in before:
            assert after[name].fields == {**before[name].fields, "Translation": "new"}

    def test_an_update_brings_its_media_and_tags_and_keeps_the_learners(
        self, server: AnkiServer, connect: Connect, deck: Deck, tmp_path: Path
    ) -> None:
        done(connect(server).sync_deck(deck))
        gato = by_word(server)["gato"]
        server.collection.change_note(gato.id, gato.fields, [*gato.tags, "Mine", "ANIMALS"])
        sound = named_by_content(tmp_path, b"maullido", "mp3")
        newer = word("gato", "cat", sound=sound, tags=("animals", "pets", "new", "mine"))
        changed = attrs.evolve(deck, notes=(newer, *deck.notes[1:]), media=(*deck.media, sound))
        provider = connect(server, update_existing=True)
        done(provider.sync_deck(changed))
        assert by_word(server)["gato"].fields["Sound"] == f"[sound:{sound.name}]"
        assert {tag.casefold() for tag in by_word(server)["gato"].tags} == {"animals", "mine", "new", "pets"}
        assert server.media()[sound.name] == b"maullido"
        since = len(server.calls)
        done(provider.sync_deck(changed))
        assert written(server, since) == []

    def test_words_that_are_written_alike_are_all_kept(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        alike = with_notes(
            deck,
            word("banco", "bank"),
            word("banco", "bench"),
            word("今日", "today", "きょう"),
            word("今日", "today", "こんにち"),
        )
        done(connect(server).sync_deck(with_notes(deck, alike.notes[0])))
        for _ in range(2):
            done(connect(server, update_existing=True).sync_deck(alike))
            assert sorted(tuple(note.fields.values())[:3] for note in server.notes()) == sorted(
                tuple(note.fields.values())[:3] for note in alike.notes
            )
        since = len(server.calls)
        done(connect(server, update_existing=True).sync_deck(alike))
        assert written(server, since) == []

    def test_a_later_version_brings_its_templates_and_style(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        done(connect(server).sync_deck(deck))
        recognise, *others = WORD.templates
        templates = (attrs.evolve(recognise, back="<b>{{Translation}}</b>"), *others)
        newer = attrs.evolve(
            deck,
            note_type=attrs.evolve(WORD, templates=templates, css=".card { color: teal; }"),
            notes=(*deck.notes, word("vaca", "cow")),
        )
        before = server.note_types()["Word"]
        done(connect(server, update_templates=False).sync_deck(newer))
        assert server.note_types()["Word"] == before
        assert "vaca" in by_word(server)

        done(connect(server).sync_deck(newer))
        after = server.note_types()["Word"]
        assert (after.templates, after.css) == (templates, ".card { color: teal; }")
        since = len(server.calls)
        done(connect(server).sync_deck(newer))
        assert written(server, since) == []

    def test_what_a_learner_made_of_the_cards_stays_when_configured(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        done(connect(server).sync_deck(deck))
        recognise, *others = WORD.templates
        mine = (attrs.evolve(recognise, back="mine: {{Translation}}"), *others)
        server.collection.change_note_type("Word", mine, "mine")
        more = with_notes(deck, *deck.notes, word("vaca", "cow"))
        done(connect(server, update_templates=False).sync_deck(more))
        assert (server.note_types()["Word"].templates, server.note_types()["Word"].css) == (mine, "mine")
        assert len(by_word(server)["vaca"].cards) == 2
        done(connect(server).sync_deck(more))
        assert server.note_types()["Word"].templates == WORD.templates
        assert server.note_types()["Word"].css == WORD.css
        assert by_word(server).keys() == {"gato", "perro", "hola", "vaca"}

    def test_a_note_type_of_another_number_is_used_as_it_is(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        other = (*WORD.fields, "Mine"), (*WORD.templates, CardTemplate("Mine", "mine {{Word}}", "x"))
        server.collection.add_note_type("Word", *other, "", is_cloze=False)
        done(connect(server).sync_deck(deck))
        assert by_word(server)["gato"].note_type == "Word"
        assert [card.template for card in by_word(server)["gato"].cards] == [0, 1, 2, 3]
        assert "Word+" not in server.note_types()
        assert "importPackage" not in actions_called(server)
        since = len(server.calls)
        done(connect(server).sync_deck(deck))
        assert written(server, since) == []

    def test_cards_that_the_learner_moved_stay_where_they_are(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        done(connect(server).sync_deck(deck))
        card = by_word(server)["gato"].cards[0]
        server.collection.add_deck("Mine")
        server.collection.move_cards([card.id], "Mine")
        since = len(server.calls)
        done(connect(server, update_existing=True).sync_deck(deck))
        assert written(server, since) == []
        moved = server.collection.card(card.id)
        assert moved
        assert moved.deck == "Mine"

    @pytest.mark.parametrize(
        "name",
        [
            'a "b" c',
            "a*b_c",
            "back\\slash",
            "A:: B",
            "a: b",
            "Ελλάδα 😀",
            "cafe\u0301",
            "  spaces ",
            "a & b &amp; <c>",
            "current",
            "filtered",
            "Default",
        ],
    )
    def test_any_name_of_a_deck(
        self, start: Start, connect: Connect, deck: Deck, way: str, name: str
    ) -> None:
        server = by(way, start())
        server.collection.add_deck("Another")
        server.collection.add_note("Basic", {"Front": "gato", "Back": ""}, [], "Another")
        named = attrs.evolve(deck, name=name)
        result = done(connect(server).sync_deck(named))
        assert result.metadata["deck"] in server.decks()
        assert result.metadata["cards"] == 8
        own = [note for note in server.notes() if note.note_type == "Word"]
        assert {card for note in own for card in note.decks} == {result.metadata["deck"]}
        before = state(server)
        assert done(connect(server).sync_deck(named)).metadata["unchanged"] == 3
        assert state(server) == before

    def test_any_word_and_any_name_of_a_field(self, any_server: AnkiServer, connect: Connect) -> None:
        server = any_server
        field = "Mot préféré_* 😀"
        texts = [
            'say "hi"',
            "a*b",
            "a_b",
            "back\\slash",
            "x: y",
            "a::b",
            "😀",
            "&lt;b&gt; &amp;",
            "e\u0301te",
        ]
        texts += [" padded\n", "a\x1fb", "-a", "(a)", "a or b", "&#123;&#123;c1::x}}", "deck:x"]
        note_type = NoteType(
            7, 'My "own" *type*_', (field, "B"), (CardTemplate("1", f"{{{{{field}}}}}", "{{B}}"),), ""
        )
        notes = tuple(
            Note(f"guid-{number}", {field: text, "B": text}, (f"a b_{text[:2]}", 'q"', "c::::d"))
            for number, text in enumerate(texts)
        )
        deck = Deck("Deck", note_type, notes)
        provider = connect(server, update_existing=True)
        assert done(provider.sync_deck(deck)).metadata["cards"] == len(texts)
        assert len(server.notes()) == len(texts)
        before, since = state(server), len(server.calls)
        done(provider.sync_deck(deck))
        assert (state(server), written(server, since)) == (before, [])


class TestNames:
    def test_deck_and_note_type_may_be_called_otherwise(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        done(connect(server).sync_deck(deck))
        before = by_word(server)
        provider = connect(server, deck_name="Mine", note_type="My words")
        for _ in range(2):
            result = done(provider.sync_deck(attrs.evolve(deck, notes=(word("vaca", "cow"),))))
            assert result.metadata["deck"] == "Mine"
            assert by_word(server)["vaca"].note_type == "My words"
            assert set(by_word(server)["vaca"].decks) == {"Mine"}
            # The build's own is neither changed nor called otherwise.
            assert {text: by_word(server)[text] for text in before} == before

    def test_our_note_type_is_known_by_whatever_name_it_was_given(
        self, start: Start, connect: Connect, deck: Deck, real: RealCollection
    ) -> None:
        server = start(real)
        done(connect(server).sync_deck(deck))
        model: Any = real.col.models.by_name("Word")
        model["name"] = "Renamed"
        real.col.models.update_dict(model)
        more = with_notes(deck, *deck.notes, word("vaca", "cow"))
        for _ in range(2):
            done(connect(server).sync_deck(more))
            assert {note.note_type for note in server.notes()} == {"Renamed"}
            assert by_word(server).keys() == {"gato", "perro", "hola", "vaca"}

    def test_another_note_type_has_taken_the_name_of_ours(
        self, start: Start, connect: Connect, deck: Deck, tmp_path: Path
    ) -> None:
        server = by("add", start())
        done(connect(server).sync_deck(deck))
        write_package(tmp_path / "x.apkg", [attrs.evolve(deck, name="Other")], deck.media)
        server.collection.import_package(tmp_path / "x.apkg")
        assert "Word+" in server.note_types()
        since = len(server.calls)
        assert done(connect(server).sync_deck(deck)).metadata["unchanged"] == 3
        assert written(server, since) == []

    def test_a_field_that_was_added_in_anki_makes_no_second_note_type(
        self, start: Start, connect: Connect, deck: Deck, real: RealCollection
    ) -> None:
        server = start(real)
        done(connect(server).sync_deck(deck))
        models = real.col.models
        model: Any = models.by_name("Word")
        models.add_field(model, models.new_field("Mine"))
        models.update_dict(model)
        since = len(server.calls)
        done(connect(server).sync_deck(with_notes(deck, *deck.notes, word("vaca", "cow"))))
        assert "importPackage" not in actions_called(server, since)
        assert {note.note_type for note in server.notes()} == {"Word"}
        assert by_word(server)["vaca"].fields["Mine"] == ""

    @pytest.mark.parametrize(("update", "answer"), [(True, "cow"), (False, "mine: cow")])
    def test_what_an_import_makes_of_changed_cards(
        self, start: Start, connect: Connect, deck: Deck, real: RealCollection, update: bool, answer: str
    ) -> None:
        server = start(real)
        done(connect(server).sync_deck(deck))
        recognise, *others = WORD.templates
        mine = attrs.evolve(recognise, back="mine: {{Translation}}")
        real.change_note_type("Word", [mine, *others], ".card { color: teal; }")
        since = len(server.calls)
        more = with_notes(deck, *deck.notes, word("vaca", "cow"))
        done(connect(server, update_templates=update).sync_deck(more))
        assert "importPackage" in actions_called(server, since)
        card = real.col.get_card(by_word(server)["vaca"].cards[0].id)  # type: ignore[arg-type]
        color = "black" if update else "teal"
        assert card.answer() == f"<style>.card {{ color: {color}; }}</style>{answer}"


class TestMedia:
    @pytest.fixture
    def odd(self, deck: Deck, tmp_path: Path) -> Deck:
        """A deck whose media are not named by their content."""
        contents = {
            "Foo.MP3": b"foo",
            "a.mp3": b"ours",
            "ba.mp3": b"ba",
            "Q & A.jpg": b"qa",
            "_font.ttf": b"f",
        }
        for name, content in {**contents, "unused.mp3": b"unused"}.items():
            (tmp_path / name).write_bytes(content)
        notes = (
            word("uno", "1", sound="Foo.MP3"),
            word("a.mp3", "is the name of a file: a.mp3", sound="a.mp3"),
            word("tres", "3", sound="ba.mp3", picture="Q & A.jpg"),
        )
        files = tuple(tmp_path / name for name in (*contents, "unused.mp3"))
        return attrs.evolve(deck, notes=notes, media=files)

    @pytest.mark.parametrize("place", ["here", "elsewhere"])
    def test_notes_go_by_the_names_that_anki_gives(
        self,
        any_server: AnkiServer,
        connect: Connect,
        odd: Deck,
        place: str,
        request: pytest.FixtureRequest,
    ) -> None:
        server = any_server
        if place == "elsewhere":
            request.getfixturevalue("elsewhere")
        server.collection.store_media("a.mp3", b"theirs")
        server.collection.add_note("Basic", {"Front": "[sound:a.mp3]", "Back": ""}, [], "Default")
        done(connect(server, update_existing=True).sync_deck(odd))

        renamed = f"a-{hashlib.sha1(b'ours').hexdigest()}.mp3"
        notes = {note.fields["Word"]: note.fields for note in server.notes() if note.note_type == "Word"}
        assert notes["uno"]["Sound"] == "[sound:foo.mp3]"
        assert notes["a.mp3"]["Sound"] == f"[sound:{renamed}]"
        assert notes["a.mp3"]["Translation"] == "is the name of a file: a.mp3"
        assert notes["tres"]["Sound"] == "[sound:ba.mp3]"
        assert notes["tres"]["Picture"] == '<img src="q &amp; a.jpg">'
        assert server.media() == {
            "a.mp3": b"theirs",
            renamed: b"ours",
            "foo.mp3": b"foo",
            "ba.mp3": b"ba",
            "q & a.jpg": b"qa",
            "_font.ttf": b"f",
        }
        before, since = state(server), len(server.calls)
        done(connect(server, update_existing=True).sync_deck(odd))
        assert state(server) == before
        assert set(written(server, since)) <= ({"storeMediaFile"} if place == "elsewhere" else set())

    def test_before_26_5_the_case_of_names_is_kept(
        self, start: Start, connect: Connect, odd: Deck, way: str
    ) -> None:
        server = by(way, start(anki_version="25.09.3"))
        done(connect(server).sync_deck(odd))
        assert by_word(server)["uno"].fields["Sound"] == "[sound:Foo.MP3]"
        assert "Foo.MP3" in server.media()

    def test_files_go_by_their_path_where_anki_sees_them(
        self, adding: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        assert done(connect(adding).sync_deck(deck)).metadata["media"] == 3
        stored = [each.params for each in adding.calls if each.action == "storeMediaFile"]
        assert [each["path"] for each in stored] == [str(file) for file in deck.media]
        assert all("data" not in each for each in stored)

    @pytest.mark.usefixtures("elsewhere")
    def test_files_go_as_data_in_small_bodies_where_anki_does_not_see_them(
        self, start: Start, version: str, connect: Connect, deck: Deck, tmp_path: Path
    ) -> None:
        server = start(version=version)
        files = [named_by_content(tmp_path, bytes([number]) * 100_000, "mp3") for number in range(20)]
        notes = tuple(word(f"w{number}", sound=file) for number, file in enumerate(files))
        done(connect(server).sync_deck(attrs.evolve(deck, notes=notes, media=tuple(files))))
        assert server.media() == {file.name: file.read_bytes() for file in files}
        assert "importPackage" not in actions_called(server)
        assert max(len(received.body) for received in server.requests) < 1_000_000
        assert not any("path" in each.params for each in server.calls)

    def test_files_go_as_data_where_anki_is_kept_from_them(
        self, adding: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        adding.refuse("storeMediaFile", "[Errno 2] No such file or directory", times=3)
        done(connect(adding).sync_deck(deck))
        assert adding.media() == {file.name: file.read_bytes() for file in deck.media}

    def test_a_file_that_anki_does_not_take_is_reported_before_any_note_is_added(
        self, adding: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        adding.refuse("storeMediaFile", "disk full", times=6)
        message = failure(connect(adding).sync_deck(deck))
        assert message == f"Anki does not store the media file {deck.media[0].name!r} (disk full)."
        assert adding.notes() == []
        done(connect(adding).sync_deck(deck))
        assert len(by_word(adding)) == 3

    def test_a_file_that_is_not_there(self, server: AnkiServer, connect: Connect, deck: Deck) -> None:
        deck.media[1].unlink()
        assert failure(connect(server).sync_deck(deck)) == f"The media file {deck.media[1]} does not exist."
        assert written(server) == []

    def test_a_file_that_is_not_there_and_not_needed(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        deck.media[1].unlink()
        done(connect(server).sync_deck(with_notes(deck, deck.notes[0], deck.notes[2])))
        assert server.media() == {deck.media[0].name: b"miau"}


class TestWhatAnkiDoesNotTake:
    def test_a_note_without_its_first_field(self, server: AnkiServer, connect: Connect, deck: Deck) -> None:
        result = connect(server).sync_deck(with_notes(deck, word(" ", "cat"), *deck.notes))
        assert failure(result) == "Anki refused some notes.\ncat: its field 'Word' is empty"
        assert result.processed_count == 3
        assert by_word(server).keys() == {"gato", "perro", "hola"}

    def test_a_note_that_is_a_duplicate_to_anki(
        self, adding: AnkiServer, connect: Connect, deck: Deck, version: str
    ) -> None:
        done(connect(adding).sync_deck(deck))
        twice = with_notes(deck, word("vaca", "cow"), *deck.notes, word("<b>gato</b>", "cat"))
        result = connect(adding).sync_deck(twice)
        expected = DUPLICATE if version == NEW else "Anki refused it"
        assert failure(result) == f"Anki refused some notes.\n<b>gato</b>: {expected}"
        assert (result.processed_count, result.metadata["unchanged"]) == (4, 3)
        assert by_word(adding).keys() == {"gato", "perro", "hola", "vaca"}

    def test_of_duplicates_in_one_request_one_is_added_and_all_others(
        self, start: Start, connect: Connect, deck: Deck
    ) -> None:
        server = by("add", start())
        result = connect(server).sync_deck(with_notes(deck, *deck.notes, word("<b>gato</b>", "cat")))
        assert failure(result) == f"Anki refused some notes.\n<b>gato</b>: {DUPLICATE}"
        assert by_word(server).keys() == {"gato", "perro", "hola"}

    @pytest.mark.parametrize("problem", ["['no']", "no"])
    def test_where_all_are_refused_for_one_that_one_is_reported(
        self, adding: AnkiServer, connect: Connect, deck: Deck, problem: str
    ) -> None:
        adding.refuse("addNotes", problem)
        adding.refuse("addNote", "odd")
        result = connect(adding).sync_deck(deck)
        assert failure(result) == "Anki refused some notes.\ngato: odd"
        assert by_word(adding).keys() == {"perro", "hola"}

    def test_only_the_first_few_of_many_are_reported(
        self, adding: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        result = connect(adding).sync_deck(with_notes(deck, *(word("", f"t{n}") for n in range(9))))
        assert failure(result).splitlines()[-2:] == ["t4: its field 'Word' is empty", "..."]
        assert len(result.metadata["refused"]) == 9

    def test_the_older_release_is_not_requested_what_it_does_not_have(
        self, adding: AnkiServer, connect: Connect, deck: Deck, version: str
    ) -> None:
        done(connect(adding).sync_deck(deck))
        assert ("canAddNotesWithErrorDetail" in actions_called(adding)) == (version == NEW)
        assert ("canAddNotes" in actions_called(adding)) == (version == OLD)

    def test_a_note_type_that_lacks_a_field(self, server: AnkiServer, connect: Connect, deck: Deck) -> None:
        server.collection.add_note_type("Word", WORD.fields[:-2], ONE_CARD, "", is_cloze=False)
        message = failure(connect(server).sync_deck(deck))
        assert message.startswith("Anki's note type 'Word' has no field 'Sound', 'Picture'.\n")
        assert "set note_type" in message
        assert written(server) == []

    def test_a_field_that_the_note_type_does_not_have(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        wrong = Note("guid", {"Word": "a", "Wrod": "b"})
        message = failure(connect(server).sync_deck(with_notes(deck, *deck.notes, wrong)))
        assert message == "The note type 'Word' has no field 'Wrod'."
        assert written(server) == []

    def test_a_template_that_anki_refuses_is_reported_in_plain_words(
        self, start: Start, connect: Connect, deck: Deck
    ) -> None:
        server = by("add", start())
        templates = (CardTemplate("1", "{{Nope}}", "x"),)
        message = failure(
            connect(server).sync_deck(attrs.evolve(deck, note_type=attrs.evolve(WORD, templates=templates)))
        )
        assert message.startswith(
            "Anki refuses createModel: Card template 1 in note type 'Word' has a problem"
        )
        assert "has a problem. Field 'Nope' not found." in message
        assert not any(odd in message for odd in ("<br", "\u2068", "\u2069", "  C"))

    @pytest.mark.parametrize("said", [None, "database is locked"])
    def test_a_note_that_does_not_change(
        self, start: Start, connect: Connect, deck: Deck, said: str | None
    ) -> None:
        class Open(MemoryCollection):
            """Does not change notes, as for one that is open in the browser."""

            def change_note(self, *_: Any) -> None:
                pass

        server = start(MemoryCollection() if said else Open())
        done(connect(server).sync_deck(deck))
        if said:
            server.refuse("updateNoteFields", said)
        result = connect(server, update_existing=True).sync_deck(translated(deck, "tomcat"))
        reason = said or "it is open in Anki and was not updated"
        assert failure(result) == f"Anki refused some notes.\ngato: {reason}"
        # It is in Anki all the same.
        assert (result.processed_count, result.metadata["unchanged"], result.metadata["stuck"]) == (3, 2, 1)

    def test_a_note_that_is_deleted_meanwhile(self, start: Start, connect: Connect, deck: Deck) -> None:
        class Shrinking(MemoryCollection):
            def change_note(self, number: int, *_: Any) -> None:
                self.remove_notes([number])

        server = start(Shrinking())
        done(connect(server).sync_deck(deck))
        result = connect(server, update_existing=True).sync_deck(translated(deck, "tomcat"))
        assert failure(result) == "Anki refused some notes.\ngato: it was deleted in Anki meanwhile"
        assert result.processed_count == 2

    def test_where_none_is_taken_none_is_counted(
        self, server: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        result = connect(server).sync_deck(with_notes(deck, word("", "cat")))
        assert failure(result)
        assert result.processed_count == 0

    def test_of_several_that_do_not_change_each_has_its_own_reason(
        self, start: Start, connect: Connect, deck: Deck
    ) -> None:
        server = start()
        done(connect(server).sync_deck(deck))
        server.refuse("updateNoteFields", "one")
        server.refuse("updateNoteFields", "two")
        changed = [
            attrs.evolve(note, fields={**note.fields, "Translation": "other"}, tags=("new",))
            for note in deck.notes
        ]
        result = connect(server, update_existing=True).sync_deck(with_notes(deck, *changed))
        assert failure(result).splitlines()[1:] == ["gato: one", "perro: two"]
        assert result.metadata["updated"] == 1


class TestAstray:
    """Anki lays some or all new cards into its default deck, and says nothing."""

    def many(self, deck: Deck) -> Deck:
        return with_notes(deck, *(word(f"word {number}", f"t{number}") for number in range(12)))

    @pytest.fixture(params=[(NEW, 4), (OLD, 24)])
    def server(self, start: Start, request: pytest.FixtureRequest) -> tuple[AnkiServer, int]:
        version, astray = request.param
        return by("add", start(version=version, browser_open=True)), astray

    def test_they_are_moved(self, server: tuple[AnkiServer, int], connect: Connect, deck: Deck) -> None:
        anki, astray = server
        result = done(connect(anki).sync_deck(self.many(deck)))
        assert result.metadata["moved"] == astray
        assert {name for note in anki.notes() for name in note.decks} == {"Spanish::Basics"}
        assert result.metadata["cards"] == 24

    @pytest.mark.parametrize("fault", [None, Dropped(), LostReply()])
    def test_after_a_crash_in_between_the_next_run_finds_them(
        self, server: tuple[AnkiServer, int], connect: Connect, deck: Deck, fault: Any
    ) -> None:
        anki, astray = server
        if fault:
            anki.fail(fault, when=is_call_of("changeDeck"))
        else:
            anki.refuse("changeDeck", "crash")
        assert failure(connect(anki).sync_deck(self.many(deck)))
        assert len(by_word(anki)) == 12
        result = done(connect(anki).sync_deck(self.many(deck)))
        assert result.metadata["moved"] == (0 if isinstance(fault, LostReply) else astray)
        assert len(by_word(anki)) == 12
        assert {name for note in anki.notes() for name in note.decks} == {"Spanish::Basics"}
        since = len(anki.calls)
        done(connect(anki).sync_deck(self.many(deck)))
        assert written(anki, since) == []

    def test_what_another_deck_has_left_there_is_not_taken(
        self, start: Start, connect: Connect, deck: Deck, way: str
    ) -> None:
        server = by(way, start(version=OLD))
        done(connect(server).sync_deck(attrs.evolve(with_notes(deck, word("gato", "gato")), name="Default")))
        [theirs] = server.notes()
        done(connect(server, update_existing=True).sync_deck(deck))
        assert len(server.notes()) == 4
        assert theirs in server.notes()


class TestLostReplies:
    @pytest.mark.parametrize(
        ("version", "fault", "retries"),
        [
            *((version, fault, 0) for version in (NEW, OLD) for fault in (LostReply(), Dropped())),
            (NEW, LostReply(), 1),
            (NEW, LostReply(Reply(504)), 0),
        ],
    )
    @pytest.mark.parametrize(
        ("way", "action"),
        [
            ("import", "importPackage"),
            ("add", "createDeck"),
            ("add", "createModel"),
            ("add", "addNotes"),
            ("add", "addNote"),
            ("add", "multi"),
            ("add", "changeDeck"),
        ],
    )
    def test_nothing_is_there_twice(
        self, start: Start, connect: Connect, deck: Deck,
        version: str, fault: Any, way: str, action: str, retries: int,
    ) -> None:  # fmt: skip
        server = by(way, start(version=version))
        if action == "addNote":
            server.refuse("addNotes", "no")
        server.fail(fault, when=is_call_of(action))
        alike = with_notes(deck, word("gato", "jack"), *deck.notes)
        # An import that has never begun is looked for in vain, that long.
        timeout = {"timeout": 0.5} if (fault, action) == (Dropped(), "importPackage") else {}
        for settings in (timeout, {}):
            result = connect(server, max_retries=retries, **settings).sync_deck(alike)
            assert len(server.notes()) <= 4
        done(result)
        assert sorted(note.fields["Translation"] for note in server.notes()) == [
            "cat",
            "dog",
            "hello",
            "jack",
        ]
        assert [name for name in server.note_types() if "Word" in name] == ["Word"]
        assert server.media() == {file.name: file.read_bytes() for file in deck.media}
        assert {name for note in server.notes() for name in note.decks} == {"Spanish::Basics"}
        since = len(server.calls)
        done(connect(server).sync_deck(alike))
        assert written(server, since) == []

    def test_a_lost_reply_to_adding_is_made_good_in_the_same_run(
        self, adding: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        """Even where a note of the same word was there before."""
        done(connect(adding).sync_deck(with_notes(deck, word("gato", "jack"))))
        adding.fail(Dropped(), when=is_call_of("addNotes"))
        done(connect(adding).sync_deck(with_notes(deck, word("gato", "jack"), *deck.notes)))
        assert sorted(note.fields["Translation"] for note in adding.notes()) == [
            "cat",
            "dog",
            "hello",
            "jack",
        ]

    @pytest.mark.parametrize("retries", [0, 3])
    def test_an_import_that_takes_longer_than_its_time_out(
        self, start: Start, connect: Connect, deck: Deck, retries: int
    ) -> None:
        server = start()
        server.fail(Slow(0.6), when=is_call_of("importPackage"))
        result = done(connect(server, timeout=0.4, max_retries=retries).sync_deck(deck))
        assert actions_called(server).count("importPackage") == 1
        assert result.metadata["summary"] == "3 notes added, 0 updated, 0 unchanged"
        assert server.media() == {file.name: file.read_bytes() for file in deck.media}

    def test_an_import_that_goes_on_while_anki_answers(
        self, start: Start, connect: Connect, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks, find = 0, AnkiConnect.findNotes
        server = start()

        def late(self: AnkiConnect, query: str | None = None) -> list[int]:
            nonlocal looks
            looks += "importPackage" in actions_called(server)
            return find(self, query) if looks > 3 else []

        monkeypatch.setattr(AnkiConnect, "findNotes", late)
        server.fail(LostReply(), when=is_call_of("importPackage"))
        assert done(connect(server).sync_deck(deck)).processed_count == 3
        assert looks > 3

    def test_an_import_that_never_begins(self, start: Start, connect: Connect, deck: Deck) -> None:
        server = start()
        server.fail(Dropped(), when=is_call_of("importPackage"))
        result = connect(server, timeout=0.3).sync_deck(deck)
        assert "gato: Anki accepted it, but did not add it" in failure(result)
        assert (result.processed_count, result.created_ids) == (0, [])

    def test_one_that_is_looked_for_no_more_once_it_is_closed(
        self, start: Start, connect: Connect, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(HttpClient, "wait", lambda self, seconds: False)
        server = start()
        server.fail(Dropped(), when=is_call_of("importPackage"))
        assert "was lost" in failure(connect(server).sync_deck(deck))


class TestTransport:
    def test_no_request_is_lost_of_hundreds(self, start: Start, connect: Connect) -> None:
        server = start()
        provider = connect(server)
        for _ in range(110):
            provider.check_connection()
        assert len(server.requests) >= 300
        assert len(server.requests) == len(server.calls)

    def test_with_connections_that_stay_open_some_would_be(self, start: Start) -> None:
        class Pooled(Anki):
            reuse_connections = True

        provider = Pooled({"url": start().url, "max_retries": 0})
        outcomes = [provider.test_connection() for _ in range(40)]
        provider.close()
        assert outcomes.count(False) >= 5

    def test_one_request_at_a_time_at_any_setting(
        self, start: Start, connect: Connect, deck: Deck, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        at_once, most = 0, 0
        lock, send = threading.Lock(), httpx.Client.send

        def counted(self: httpx.Client, *args: Any, **kwargs: Any) -> httpx.Response:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            try:
                return send(self, *args, **kwargs)
            finally:
                with lock:
                    at_once -= 1

        monkeypatch.setattr(httpx.Client, "send", counted)
        server = by(way, start())
        provider = connect(server, max_concurrent=8)
        decks = [deck, deck, *(attrs.evolve(deck, name=f"Deck {number}") for number in range(3))]
        decks = [attrs.evolve(each, notes=tuple(
            attrs.evolve(note, guid=f"{each.name} {note.guid}") for note in each.notes
        )) for each in decks]  # fmt: skip
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(provider.sync_deck, decks))
        for result in results:
            done(result)
        assert most == provider.settings.max_concurrent == 1
        assert len(server.notes()) == 12

    def test_requests_are_such_as_the_add_on_takes(
        self, adding: AnkiServer, connect: Connect, deck: Deck
    ) -> None:
        adding.anki.key = "sesame"
        done(connect(adding, api_key="sesame").sync_deck(deck))
        for received in adding.requests:
            assert "origin" not in received.headers
            assert "transfer-encoding" not in received.headers
            assert received.body
            request = received.json()
            within = request["params"]["actions"] if request["action"] == "multi" else []
            for each in (request, *within):
                assert (each["version"], each["key"]) == (6, "sesame")


class TestConnection:
    def test_it_is_there(self, start: Start, connect: Connect, version: str) -> None:
        provider = connect(start(version=version, profile="Ann"))
        assert provider.check_connection() == "Anki answers, with the profile 'Ann' open"
        assert provider.test_connection() is True

    def test_anki_is_not_running(self, start: Start, connect: Connect, deck: Deck) -> None:
        server = start()
        server.stop()
        provider = connect(server)
        message = failure(provider.sync_deck(deck))
        assert message.startswith(f"Anki cannot be reached at {server.url}.\n  Start Anki, with the add-on")
        assert "2055492159" in message
        assert provider.test_connection() is False
        with pytest.raises(ProviderError, match="cannot be reached"):
            provider.check_connection()

    @pytest.mark.parametrize(
        ("theirs", "ours", "expected"),
        [
            (None, "sesame", "or remove it if that is null"),
            ("sesame", None, "AnkiConnect requires a key, but api_key is not set."),
            ("sesame", "wrong", "AnkiConnect refuses the key"),
        ],
    )
    def test_a_key_that_does_not_fit(
        self, start: Start, connect: Connect, deck: Deck, theirs: str | None, ours: str | None, expected: str
    ) -> None:
        provider = connect(start(key=theirs), api_key=ours)
        with pytest.raises(AuthenticationError) as raised:
            provider.check_connection()
        assert expected in str(raised.value)
        assert "apiKey" in str(raised.value)
        assert expected in failure(provider.sync_deck(deck))

    @pytest.mark.parametrize("key", ["", None])
    def test_a_key_that_is_not_set_is_not_sent(self, start: Start, connect: Connect, key: str | None) -> None:
        server = start()
        connect(server, api_key=key).check_connection()
        assert not any("key" in received.json() for received in server.requests)

    @pytest.mark.parametrize("spelled", ["requireApikey", "requireApiKey"])
    def test_that_a_key_is_needed_is_understood_in_either_spelling(
        self, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch, spelled: str
    ) -> None:
        answer = {"permission": "granted", spelled: True, "version": 6}
        monkeypatch.setattr(AnkiConnect, "requestPermission", lambda self: answer)
        server = start(key="sesame")
        with pytest.raises(AuthenticationError, match="api_key is not set"):
            connect(server).check_connection()
        assert connect(server, api_key="sesame").check_connection()

    def test_permission_is_denied(
        self, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(AnkiConnect, "requestPermission", lambda self: {"permission": "denied"})
        with pytest.raises(AuthenticationError, match="does not accept this program"):
            connect(start()).check_connection()

    def test_an_origin_is_not_allowed(self, start: Start, connect: Connect) -> None:
        server = start()
        server.fail(Reply(403))
        with pytest.raises(AuthenticationError):
            connect(server).check_connection()

    def test_a_protocol_that_is_too_old(
        self, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(ProviderError, match="too old: version 6"):
            connect(start(protocol=5)).check_connection()
        monkeypatch.delattr(AnkiConnect, "requestPermission")
        with pytest.raises(ProviderError, match="too old: version 6"):
            connect(start()).check_connection()

    def test_no_profile_is_open(self, start: Start, connect: Connect, deck: Deck) -> None:
        server = start(profile_open=False)
        for settings in ({}, {"profile": "User 1"}):
            message = failure(connect(server, **settings).sync_deck(deck))
            assert "collection is not available" in message
            assert "Open a profile in Anki" in message

    def test_another_profile_is_open(self, start: Start, connect: Connect, deck: Deck) -> None:
        server = start(profile="Ann", profiles=("Ann", "Bob"))
        message = failure(connect(server, profile="Bob").sync_deck(deck))
        assert message.startswith("Anki has the profile 'Ann' open, but 'Bob' is required.\n")
        assert written(server) == []
        done(connect(server, profile="Ann").sync_deck(deck))

    def test_a_release_that_does_not_report_the_profile(
        self, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(AnkiConnect, "getActiveProfile")
        assert connect(start()).check_connection() == "Anki answers"
        with pytest.raises(
            ProviderError, match="does not report which profile is open, but 'Bob' is required"
        ):
            connect(start(), profile="Bob").check_connection()

    @pytest.mark.parametrize(
        "fault",
        [HtmlPage(), HtmlPage(status=404), Reply(200, b"AnkiConnect v.6"), Reply(200)]
        + [Reply.of_json(value) for value in ({"hello": 1}, [1], 4, None, "x")],
    )
    def test_something_else_answers(self, start: Start, connect: Connect, deck: Deck, fault: Any) -> None:
        server = start()
        server.fail(fault, times=None)
        message = failure(connect(server, launch_wait_time=60).sync_deck(deck))
        assert "answered 404 (Not Found)" in message or message == (
            "The program at this address is not AnkiConnect.\n  Check url."
        )

    def test_answers_that_are_not_as_they_should_be(
        self, start: Start, connect: Connect, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for action, answer, expected in (
            ("multi", [], "did not answer every call"),
            ("addNotes", [], "did not report which notes it added"),
            ("storeMediaFile", None, "it does not report the name"),
            ("apiReflect", None, ""),
        ):
            with monkeypatch.context() as changed:
                changed.setattr(AnkiConnect, action, lambda self, _=answer, **params: _)
                result = connect(by("add", start())).sync_deck(deck)
                assert result.success == (not expected)
                assert expected in result.error_message

    @pytest.mark.parametrize("url", ["127.0.0.1:8765", "", "ftp://x"])
    def test_an_address_that_is_none(self, url: str) -> None:
        with pytest.raises(SettingError, match="url"):
            Anki({"url": url})


class TestAnAnkiThatIsStarting:
    @pytest.fixture
    def pauses(self, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
        """What happens in each pause, one after another."""
        events: list[Callable[[], object]] = []

        def wait(self: HttpClient, seconds: float) -> bool:
            if events:
                events.pop(0)()
            return True

        monkeypatch.setattr(HttpClient, "wait", wait)
        return events

    def test_it_is_waited_for(
        self, start: Start, connect: Connect, deck: Deck, pauses: list[Callable[[], object]]
    ) -> None:
        server = start(profile_open=False, load_takes=3)
        server.stop()
        pauses += [lambda: None, server.start, lambda: None]
        pauses += [lambda: server.anki.__setattr__("profile_open", True)]
        server.anki.loading = 3
        done(connect(server, launch_wait_time=60, profile="User 1").sync_deck(deck))
        assert pauses == []
        assert len(server.notes()) == 3

    def test_but_not_for_ever(
        self, start: Start, connect: Connect, deck: Deck, pauses: list[Callable[[], object]]
    ) -> None:
        server = start(profile_open=False)
        provider = connect(server, launch_wait_time=0.3)
        assert "Open a profile in Anki" in failure(provider.sync_deck(deck))
        assert len(server.requests) > 2
        server.stop()
        assert "Start Anki" in failure(provider.sync_deck(deck))

    def test_nor_once_it_is_closed(self, start: Start, connect: Connect, deck: Deck) -> None:
        server = start()
        server.stop()
        provider = connect(server, launch_wait_time=10)
        closing = threading.Timer(0.1, provider.close)
        closing.start()
        started = time.monotonic()
        assert "Start Anki" in failure(provider.sync_deck(deck))
        assert time.monotonic() - started < 5
        closing.join()

    def test_and_not_where_that_does_not_help(
        self, start: Start, connect: Connect, deck: Deck, pauses: list[Callable[[], object]]
    ) -> None:
        server = start(key="sesame")
        failure(connect(server, launch_wait_time=60).sync_deck(deck))
        failure(connect(server, launch_wait_time=60, api_key="sesame", profile="Bob").sync_deck(deck))
        assert len(server.requests) == 4

    def test_without_being_configured_nothing_is_waited_for(
        self, start: Start, connect: Connect, deck: Deck, pauses: list[Callable[[], object]]
    ) -> None:
        server = start()
        server.anki.loading = 1
        pauses += [lambda: pytest.fail("it waits")]
        assert "collection is not available" in failure(connect(server).sync_deck(deck))
        done(connect(server).sync_deck(deck))


class TestSecrets:
    def test_the_key_is_never_to_be_seen(
        self, start: Start, connect: Connect, deck: Deck, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        key = 'open "sesame" qv7z'  # no hexadecimal digits, which addresses and hashes in a log may show by chance
        server = start(key=key)
        provider = connect(server, api_key=key, max_retries=1)
        expected = [
            str(provider.sync_deck(deck)),
            repr(provider),
            repr(provider._anki),
            provider.check_connection(),
        ]

        server.refuse("modelNamesAndIds", f"KeyError: {key}")
        expected.append(failure(provider.sync_deck(deck)))
        server.refuse("findNotes", f"KeyError: {key}")
        with pytest.raises(ProviderError) as raised:
            provider.list_existing("Word")
        expected.append(repr(raised.value))
        for fault in (
            HtmlPage(key),
            Reply(500, key.encode()),
            Reply(404, json.dumps(key).encode()),
            Dropped(),
        ):
            server.fail(fault, times=2)
            expected.append(failure(provider.sync_deck(deck)))
            server.clear_faults()
        server.refuse("updateNoteFields", f"{key}!")
        failed = connect(server, api_key=key, update_existing=True).sync_deck(translated(deck, "tomcat"))
        expected += [failure(failed), str(failed.metadata)]
        server.anki.key = "another"
        expected.append(failure(provider.sync_deck(deck)))

        everything = "\n".join([*expected, caplog.text])
        assert "sesame" not in everything
        assert "qv7z" not in everything
        assert "***" in everything


class TestSingleSteps:
    def provider(self, connect: Connect, server: AnkiServer, **settings: Any) -> Anki:
        provider = connect(server, **settings)
        template = {"name": "Card", "front": "{{Front}}", "back": "{{FrontSide}}<hr id=answer>{{Back}}"}
        assert done(provider.sync_templates("Basic words", [template])).processed_count == 1
        return provider

    def test_templates_media_and_cards(self, server: AnkiServer, connect: Connect, tmp_path: Path) -> None:
        sound = tmp_path / "gato.mp3"
        sound.write_bytes(b"gato")
        provider = self.provider(connect, server)
        assert done(provider.sync_media([sound])).processed_count == 1
        assert written(server) == []
        card = {"Front": "gato [sound:gato.mp3]", "Back": "cat", "tags": ["x"], "deck": "Animals"}
        result = done(provider.sync_cards([card, {**card, "Front": "perro", "deck": "More"}]))
        assert result.processed_count == 2
        assert sorted(result.created_ids or []) == [note.id for note in server.notes()]
        assert [note.decks for note in server.notes()] == [["Animals"], ["More"]]
        assert server.media() == {"gato.mp3": b"gato"}

    def test_a_file_may_be_removed_once_a_card_has_brought_it(
        self, server: AnkiServer, connect: Connect, tmp_path: Path
    ) -> None:
        provider = self.provider(connect, server)
        files = [named_by_content(tmp_path, content, "mp3") for content in (b"miau", b"guau")]
        provider.sync_media(files)
        for file in files:
            card = {"Front": f"{file.stem} [sound:{file.name}]", "Back": "x"}
            assert not provider.sync_cards([card, {"Front": "", "Back": "refused"}]).success
            done(provider.sync_cards([card]))
            file.unlink()
        done(provider.sync_cards([{"Front": f"both {files[0].name} {files[1].name}", "Back": "x"}]))
        assert sorted(server.media().values()) == [b"guau", b"miau"]

    def test_one_card(self, server: AnkiServer, connect: Connect) -> None:
        provider = self.provider(connect, server)
        result = done(provider.sync_single_card({"Front": "gato", "Back": "cat"}))
        [note] = server.notes()
        assert (result.created_ids, note.decks) == ([note.id], ["Deckwright"])
        assert done(provider.sync_single_card({"Front": "gato", "Back": "cat"})).created_ids == []
        # A name that is set comes before the card's own.
        named = self.provider(connect, server, deck_name="Mine")
        done(named.sync_single_card({"Front": "perro", "Back": "dog", "deck": "Other"}))
        assert "Other" not in server.decks()
        assert server.notes()[-1].decks == ["Mine"]

    def test_what_is_there_already(self, server: AnkiServer, connect: Connect, deck: Deck) -> None:
        provider = connect(server)
        assert provider.list_existing("Word") == []
        done(provider.sync_deck(deck))
        there = {note["Word"]: note for note in provider.list_existing("Word")}
        assert there.keys() == {"gato", "perro", "hola"}
        assert there["gato"]["tags"] == ["animals", "pets"]
        assert there["gato"]["note_id"] == by_word(server)["gato"].id

    def test_what_goes_wrong_is_in_the_result(self, start: Start, connect: Connect) -> None:
        server = start()
        missing = connect(server).sync_cards([{"Front": "a", "note_type": "Basic"}])
        assert "Call sync_templates before sync_cards" in failure(missing)
        two = [{"Front": "", "Back": "x", "deck": "A"}, {"Front": "b", "Back": "y", "deck": "B"}]
        result = self.provider(connect, server).sync_cards(two)
        assert (result.success, result.processed_count) == (False, 1)
        assert "its field 'Front' is empty" in result.error_message
        server.stop()
        assert "cannot be reached" in failure(self.provider(connect, server).sync_cards(two))

    def test_an_error_of_any_kind_is_in_the_result(self, start: Start, connect: Connect, deck: Deck) -> None:
        broken = with_notes(deck, Note("guid", {"Word": "half a pair: \ud800"}))
        assert failure(connect(start()).sync_deck(broken))


WORDS = [
    {"word": "gato", "translation": "cat", "tags": "animals"},
    {"word": "banco", "translation": "bank"},
    {"word": "banco", "translation": "bench"},
    {"word": 'a "b" <i> & [x] {{y}}', "translation": "odd"},
]


class TestChanges:
    SOUND, CREDIT = "[sound:a.mp3]", "A: Ann · B: Bob"

    @pytest.mark.parametrize(
        ("old", "new", "changes"),
        [
            ({"Sound": SOUND, "B": "the cat"}, {"Sound": "", "B": "cat"}, {"B": "cat"}),
            ({"Sound": SOUND, "Example": "El gato."}, {"Sound": "", "Example": ""}, {"Example": ""}),
            ({"Picture": '<img src="a.png">'}, {"Picture": ""}, {}),
            ({"Sound": SOUND}, {"Sound": "[sound:b.mp3]"}, {"Sound": "[sound:b.mp3]"}),
            ({"Sound": SOUND, "Credit": CREDIT}, {"Sound": "", "Credit": "B: Bob"}, {}),
            ({"Sound": SOUND, "Credit": CREDIT}, {"Sound": "", "Credit": ""}, {}),
            ({"Sound": SOUND, "Credit": CREDIT}, {"Sound": "", "Credit": "C: Cy"}, {"Credit": "C: Cy"}),
            ({"Sound": SOUND, "Credit": CREDIT}, {"Sound": SOUND, "Credit": ""}, {"Credit": ""}),
            ({"Sound": SOUND, "Credit": CREDIT}, {"Sound": ""}, {}),
        ],
    )
    def test_only_media_and_their_credit_are_kept_back(
        self, old: dict[str, str], new: dict[str, str], changes: dict[str, str]
    ) -> None:
        assert ExistingNote(1, old, frozenset()).changes(new) == changes


class Voice(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        assert request.output_path
        request.output_path.write_bytes(b"ID3" + request.content.encode())
        return MediaResult(True, request.output_path)


class Voices:
    @hookimpl
    def register_media_provider(self, type: str, name: str) -> Any:
        return Voice() if (type, name) == ("audio", "voice") else None


class TestBuilding:
    def build(self, folder: Path, words: list[Any], **sync: Mapping[str, Any]) -> Any:
        providers = {
            "audio": {"voice": {"pipelines": ["*"]}},
            "sync": {name: {"pipelines": ["*"], **settings} for name, settings in sync.items()},
        }
        return build_deck(
            words, language="es", deck="Spanish", config={"providers": providers}, plugins=[Voices()],
            output=folder / "spanish.apkg" if "apkg" in sync else None,
        )  # fmt: skip

    def test_a_deck_goes_into_anki(self, server: AnkiServer, tmp_path: Path) -> None:
        report = self.build(tmp_path, WORDS, anki={"url": server.url})
        assert (report.outputs, report.cards, report.problems) == ({"anki": None}, 12, ())
        assert len(server.notes()) == 4
        assert {name for note in server.notes() for name in note.decks} == {"Spanish"}
        since = len(server.calls)
        self.build(tmp_path, WORDS, anki={"url": server.url, "update_existing": True})
        assert written(server, since) == []

    def test_a_package_and_anki_at_once(self, start: Start, tmp_path: Path, real: RealCollection) -> None:
        server = start(real)
        report = self.build(tmp_path, WORDS, apkg={}, anki={"url": server.url})
        assert report.outputs == {"apkg": tmp_path / "spanish.apkg", "anki": None}
        before = state(server)
        # By hand, the package finds all of it there.
        real.import_package(tmp_path / "spanish.apkg")
        assert [note.id for note in server.notes()] == [note.id for note in before[0]]
        assert [dict(note.fields) for note in server.notes()] == [dict(note.fields) for note in before[0]]
        assert server.media() == before[1]
        since = len(server.calls)
        self.build(tmp_path, WORDS, anki={"url": server.url})
        assert written(server, since) == []
        require_in_order(real)

    def test_a_word_that_anki_refuses_fails_no_build(
        self, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        server = by("add", start())
        server.refuse("addNotes", "no")
        server.refuse("addNote", "odd")
        report = self.build(tmp_path, WORDS, anki={"url": server.url})
        assert report.outputs == {"anki": None}
        assert len(server.notes()) == 3
        assert "gato: odd" in str(report.problems[0])
        assert list(tmp_path.iterdir()) == []

    def test_one_of_two_places_that_fails_is_reported(self, start: Start, tmp_path: Path) -> None:
        server = start()
        server.stop()
        anki = {"url": server.url, "max_retries": 0}
        report = self.build(tmp_path, WORDS, apkg={}, anki=anki)
        assert list(report.outputs) == ["apkg"]
        assert "could not be written (anki): Anki cannot be reached" in str(report.problems[0])
        with pytest.raises(BuildError, match="Start Anki"):
            self.build(tmp_path, WORDS, anki=anki)

    def test_a_manually_imported_package_adds_nothing(
        self, start: Start, connect: Connect, deck: Deck, tmp_path: Path, real: RealCollection
    ) -> None:
        server = start(real)
        done(connect(server).sync_deck(deck))
        write_package(tmp_path / "x.apkg", [translated(deck, "tomcat")], deck.media)
        real.import_package(tmp_path / "x.apkg")
        assert by_word(server).keys() == {"gato", "perro", "hola"}
        assert len(server.collection.find_cards("")) == 8
        require_in_order(real)


def test_without_genanki_notes_are_added_one_by_one(
    start: Start, connect: Connect, deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genanki", None)
    server = start()
    done(connect(server).sync_deck(deck))
    assert "importPackage" not in actions_called(server)
    assert len(server.notes()) == 3


def test_nothing_is_left_behind(
    start: Start, connect: Connect, deck: Deck, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    server = by(way, start())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    done(connect(server).sync_deck(deck))
    assert list(scratch.iterdir()) == []


def test_the_plugin_makes_what_it_offers_and_nothing_else() -> None:
    [info] = plugin.describe_media_providers()
    assert (info.type, info.name) == ("sync", "anki")
    assert isinstance(plugin.register_media_provider("sync", "anki", {}), Anki)
    assert plugin.register_media_provider("sync", "other", {}) is None
    assert plugin.register_media_provider("audio", "anki", {}) is None
