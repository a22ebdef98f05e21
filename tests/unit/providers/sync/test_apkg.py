"""Anki packages, by what the real Anki makes of them."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from deckwright import CardTemplate, Deck, Note, NoteType, ProviderError, SettingError
from deckwright.anki import package as packages
from deckwright_builtins import apkg
from deckwright_builtins.apkg import Apkg

CollectionMaker = Callable[[], Any]

BASIC = NoteType(
    1500000000,
    "Word",
    ("Word", "Translation", "Sound"),
    (
        CardTemplate("Recognise", "{{Word}}", "{{Translation}}"),
        CardTemplate("Listen", "{{#Sound}}{{Sound}}{{/Sound}}", "{{Word}}"),
    ),
    ".card { color: black; }",
)


@pytest.fixture
def deck(tmp_path: Path) -> Deck:
    """Three notes, two of them with a sound; five cards."""
    media = tmp_path / "media"
    media.mkdir()
    notes = []
    for word, translation, sound in (("gato", "cat", True), ("perro", "dog", True), ("hola", "hello", False)):
        if sound:
            (media / f"{word}.mp3").write_bytes(word.encode())
        fields = {"Word": word, "Translation": translation, "Sound": f"[sound:{word}.mp3]" if sound else ""}
        notes.append(Note(f"guid-{word}", fields, ("animals",) if sound else ()))
    files = tuple(sorted(media.iterdir()))
    return Deck(
        "Spanish::Basics", BASIC, tuple(notes), files, tmp_path / "basics.apkg", "Made by <b>hand</b>."
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the time at which packages are built, in seconds: Anki tells old from new by it."""
    return lambda seconds: monkeypatch.setattr(packages.time, "time", lambda: float(seconds))


def write(deck: Deck) -> Path:
    result = Apkg().sync_deck(deck)
    assert result.success, result.error_message
    path: Path = result.metadata["path"]
    return path


def with_translation(deck: Deck, translation: str) -> Deck:
    first, *others = deck.notes
    changed = attrs.evolve(first, fields={**first.fields, "Translation": translation})
    return attrs.evolve(deck, notes=(changed, *others))


class TestImport:
    def test_all_of_the_deck_arrives(self, deck: Deck, anki_collection: CollectionMaker) -> None:
        anki = anki_collection()
        assert anki.import_package(write(deck)) == {"new": 3}
        assert anki.decks() == ["Spanish", "Spanish::Basics"]
        assert anki.cards() == {
            "gato": ["Recognise", "Listen"],
            "perro": ["Recognise", "Listen"],
            "hola": ["Recognise"],
        }
        assert [note.values() for note in anki.notes()] == [list(note.fields.values()) for note in deck.notes]
        assert [tuple(note.tags) for note in anki.notes()] == [note.tags for note in deck.notes]
        assert anki.col.decks.by_name("Spanish::Basics")["desc"] == "Made by <b>hand</b>."

    def test_all_media_arrive_and_each_is_used(self, deck: Deck, anki_collection: CollectionMaker) -> None:
        anki = anki_collection()
        anki.import_package(write(deck))
        assert anki.media() == {"gato.mp3", "perro.mp3"}
        assert Path(anki.col.media.dir(), "gato.mp3").read_bytes() == b"gato"
        assert anki.media_problems() == []

    def test_importing_twice_adds_nothing(self, deck: Deck, anki_collection: CollectionMaker) -> None:
        anki = anki_collection()
        package = write(deck)
        anki.import_package(package)
        assert anki.import_package(package) == {"duplicate": 3}
        assert anki.col.note_count() == 3
        assert anki.col.card_count() == 5

    def test_a_changed_translation_updates_the_note_in_place(
        self, deck: Deck, anki_collection: CollectionMaker, clock: Callable[[int], None]
    ) -> None:
        anki = anki_collection()
        clock(1_700_000_000)
        anki.import_package(write(deck))
        before = {card: anki.col.get_card(card).nid for card in anki.col.find_cards("")}

        clock(1_700_000_001)
        anki.import_package(write(with_translation(deck, "tomcat")))

        assert anki.notes()[0]["Translation"] == "tomcat"
        assert {card: anki.col.get_card(card).nid for card in anki.col.find_cards("")} == before

    def test_a_sound_that_came_later_adds_its_card(
        self, deck: Deck, anki_collection: CollectionMaker, clock: Callable[[int], None]
    ) -> None:
        anki = anki_collection()
        silent = tuple(attrs.evolve(note, fields={**note.fields, "Sound": ""}) for note in deck.notes)
        clock(1_700_000_000)
        anki.import_package(write(attrs.evolve(deck, notes=silent, media=())))
        clock(1_700_000_001)
        anki.import_package(write(deck))
        assert anki.cards()["gato"] == ["Recognise", "Listen"]
        assert anki.col.note_count() == 3

    def test_a_later_build_brings_its_templates_and_style(
        self, deck: Deck, anki_collection: CollectionMaker, clock: Callable[[int], None]
    ) -> None:
        anki = anki_collection()
        clock(1_700_000_000)
        anki.import_package(write(deck))
        recognise, listen = BASIC.templates
        templates = (attrs.evolve(recognise, back="<b>{{Translation}}</b>"), listen)
        restyled = attrs.evolve(BASIC, templates=templates, css=".card { color: teal; }")
        clock(1_700_000_001)
        anki.import_package(write(attrs.evolve(deck, note_type=restyled)))

        answer = anki.card("gato", "Recognise").answer()
        assert "<b>cat</b>" in answer
        assert "teal" in answer
        assert anki.col.note_count() == 3

    def test_decks_built_at_the_same_moment_stay_apart(
        self, deck: Deck, anki_collection: CollectionMaker, clock: Callable[[int], None]
    ) -> None:
        # genanki numbers notes and cards from the time, so both packages have the same numbers.
        clock(1_700_000_000)
        anki = anki_collection()
        anki.import_package(write(deck))
        others = tuple(attrs.evolve(note, guid=f"other-{note.guid}") for note in deck.notes)
        anki.import_package(write(attrs.evolve(deck, name="Other", notes=others)))
        assert anki.col.note_count() == 6
        assert anki.col.card_count() == 10
        assert set(anki.col.find_cards("deck:Other")).isdisjoint(anki.col.find_cards("deck:Spanish"))

    def test_spaces_in_tags_become_underscores(self, deck: Deck, anki_collection: CollectionMaker) -> None:
        tagged = attrs.evolve(deck.notes[0], tags=("false friends", " ", "a　b\tc"))
        anki = anki_collection()
        anki.import_package(write(attrs.evolve(deck, notes=(tagged,))))
        assert anki.notes()[0].tags == ["a_b_c", "false_friends"]

    def test_a_field_of_nothing_but_spaces_makes_no_card(
        self, deck: Deck, anki_collection: CollectionMaker
    ) -> None:
        blank = Note("guid", {"Word": " gato ", "Sound": " \n"})
        anki = anki_collection()
        anki.import_package(write(attrs.evolve(deck, notes=(blank,), media=())))
        assert anki.cards() == {"gato": ["Recognise"]}

    def test_a_separator_within_a_field_does_not_shift_the_others(
        self, deck: Deck, anki_collection: CollectionMaker
    ) -> None:
        note = Note("guid", {"Word": "a\x1fb", "Translation": "c"})
        anki = anki_collection()
        anki.import_package(write(attrs.evolve(deck, notes=(note,), media=())))
        assert anki.notes()[0].values() == ["a b", "c", ""]


class TestFile:
    def test_the_result_says_what_was_written(self, deck: Deck) -> None:
        result = Apkg().sync_deck(deck)
        assert deck.output is not None
        assert result.processed_count == 3
        assert result.metadata == {"path": deck.output, "cards": 5, "bytes": deck.output.stat().st_size}

    def test_the_decks_own_output_wins_over_the_configured_path(self, deck: Deck, tmp_path: Path) -> None:
        provider = Apkg({"path": str(tmp_path / "configured.apkg")})
        assert provider.sync_deck(deck).metadata["path"] == deck.output
        without = attrs.evolve(deck, output=None)
        assert provider.sync_deck(without).metadata["path"] == tmp_path / "configured.apkg"

    @pytest.mark.parametrize(
        ("name", "file"),
        [
            ("Spanish::Basics", "spanish-basics.apkg"),
            ("../../etc/passwd", "etc-passwd.apkg"),
            ("日本語 1", "日本語-1.apkg"),
            ("???", "deck.apkg"),
            ("語" * 200, "語" * 80 + ".apkg"),
        ],
    )
    def test_without_either_the_file_is_named_after_the_deck(
        self, deck: Deck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write(attrs.evolve(deck, name=name, output=None))
        assert Path(tmp_path, file).is_file()

    def test_nothing_is_left_behind(
        self, deck: Deck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        write(deck)
        assert list(scratch.iterdir()) == []
        assert sorted(file.name for file in tmp_path.iterdir()) == ["basics.apkg", "media", "scratch"]

    def test_an_older_file_is_replaced_and_not_written_over(self, deck: Deck, tmp_path: Path) -> None:
        (tmp_path / "older.apkg").write_bytes(b"old")
        (tmp_path / "basics.apkg").hardlink_to(tmp_path / "older.apkg")
        assert zipfile.is_zipfile(write(deck))
        assert (tmp_path / "older.apkg").read_bytes() == b"old"

    def test_the_deck_has_the_same_number_in_every_build(self, deck: Deck, tmp_path: Path) -> None:
        with zipfile.ZipFile(write(deck)) as package:
            collection = package.extract("collection.anki2", tmp_path)
        with closing(sqlite3.connect(collection)) as database:
            [decks] = database.execute("SELECT decks FROM col").fetchone()
        assert set(json.loads(decks)) - {"1"} == {"2049528008"}

    def test_escaped_content_gives_no_warning(self, deck: Deck) -> None:
        # Warnings are errors here, and genanki warns of what looks like a broken tag.
        odd = Note(
            "guid", {"Word": "&lt;i&gt; &lt; &amp; &#123;", "Translation": "<dl><dt>a</dt><dd>b</dd></dl>"}
        )
        write(attrs.evolve(deck, notes=(odd,)))

    def test_files_from_before_1980_are_taken(self, deck: Deck) -> None:
        os.utime(deck.media[0], (0, 0))
        write(deck)

    def test_one_file_given_twice_is_one_file(self, deck: Deck) -> None:
        with zipfile.ZipFile(write(attrs.evolve(deck, media=deck.media * 2))) as package:
            assert sorted(package.namelist()) == ["0", "1", "collection.anki2", "media"]


class TestFailure:
    """Each leaves the folder as it was, with the older file in it, and says why."""

    @pytest.fixture(autouse=True)
    def _all_stays_as_it_was(self, deck: Deck, tmp_path: Path) -> Any:
        (tmp_path / "basics.apkg").write_bytes(b"old")
        yield
        assert (tmp_path / "basics.apkg").read_bytes() == b"old"
        assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []

    def failure(self, deck: Deck) -> str:
        result = Apkg().sync_deck(deck)
        assert not result.success
        assert result.processed_count == 0
        return result.error_message

    def test_a_missing_media_file_is_named(self, deck: Deck) -> None:
        deck.media[1].unlink()
        assert self.failure(deck) == f"The media file {deck.media[1]} does not exist."

    @pytest.mark.parametrize("name", ["gato.mp3", "Gato.mp3"])
    def test_two_files_of_one_name_are_refused(self, deck: Deck, tmp_path: Path, name: str) -> None:
        other = tmp_path / "other" / name
        other.parent.mkdir()
        other.write_bytes(b"something else")
        message = self.failure(attrs.evolve(deck, media=(*deck.media, other)))
        assert message == f"Two different media files have the same name: {deck.media[0]} and {other}."

    @pytest.mark.skipif(sys.platform == "win32", reason="such a file cannot be made on Windows")
    def test_a_name_that_anki_would_change_is_refused(self, deck: Deck, tmp_path: Path) -> None:
        (tmp_path / "what?.mp3").touch()
        message = self.failure(attrs.evolve(deck, media=(tmp_path / "what?.mp3",)))
        assert "'what?.mp3'" in message
        assert "removes '?'" in message

    def test_a_folder_that_is_not_there(self, deck: Deck, tmp_path: Path) -> None:
        message = self.failure(attrs.evolve(deck, output=tmp_path / "nowhere" / "deck.apkg"))
        assert f"there is no folder {tmp_path / 'nowhere'}." in message

    def test_a_folder_that_is_a_file(self, deck: Deck, tmp_path: Path) -> None:
        message = self.failure(attrs.evolve(deck, output=tmp_path / "basics.apkg" / "deck.apkg"))
        assert f"there is no folder {tmp_path / 'basics.apkg'}." in message

    def test_a_file_that_is_a_folder(self, deck: Deck, tmp_path: Path) -> None:
        message = self.failure(attrs.evolve(deck, output=tmp_path / "media"))
        assert message == f"{tmp_path / 'media'} is a folder; the package needs the name of a file."

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_may_not_be_written(self, deck: Deck, tmp_path: Path) -> None:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        message = self.failure(attrs.evolve(deck, output=locked / "deck.apkg"))
        assert f"{locked / 'deck.apkg'} cannot be written: Permission denied" in message

    @pytest.mark.parametrize("room", [1_000, 100_000], ids=["for the notes", "for the media"])
    def test_no_room_on_the_disk(self, deck: Deck, room: int) -> None:
        resource = pytest.importorskip("resource")
        deck.media[0].write_bytes(bytes(200_000))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        try:
            message = self.failure(deck)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert f"{deck.output} cannot be written: " in message

    def test_a_field_that_the_note_type_does_not_have(self, deck: Deck) -> None:
        message = self.failure(attrs.evolve(deck, notes=(Note("guid", {"Word": "x", "Wrod": "y"}),)))
        assert message == "The note type 'Word' has no field 'Wrod'."


class TestSingleSteps:
    def provider(self, tmp_path: Path, **settings: Any) -> Apkg:
        provider = Apkg({"path": tmp_path / "steps.apkg", **settings})
        template = {"name": "Card", "front": "{{Front}}", "back": "{{FrontSide}}<hr id=answer>{{Back}}"}
        assert provider.sync_templates("Basic words", [template]).success
        return provider

    def test_templates_media_and_cards_make_a_package(
        self, tmp_path: Path, anki_collection: CollectionMaker
    ) -> None:
        sound = tmp_path / "gato.mp3"
        sound.write_bytes(b"gato")
        provider = self.provider(tmp_path)
        provider.sync_media([sound])
        card = {"Front": "gato [sound:gato.mp3]", "Back": "cat", "tags": ["x"], "note_type": "Basic words"}
        result = provider.sync_cards([{**card, "deck": "Animals"}])

        assert (result.success, result.processed_count) == (True, 1)
        anki = anki_collection()
        anki.import_package(result.metadata["path"])
        assert anki.decks() == ["Animals"]
        assert anki.media_problems() == []
        assert "cat" in anki.card("gato [sound:gato.mp3]", "Card").answer()

    def test_cards_of_a_later_call_join_those_before(
        self, tmp_path: Path, anki_collection: CollectionMaker, clock: Callable[[int], None]
    ) -> None:
        anki = anki_collection()
        provider = self.provider(tmp_path, deck="Mine")
        clock(1_700_000_000)
        provider.sync_cards([{"Front": "gato", "Back": "cat"}])
        anki.import_package(tmp_path / "steps.apkg")
        clock(1_700_000_001)
        result = provider.sync_single_card({"Front": "perro", "Back": "dog"})

        assert (result.processed_count, result.metadata["cards"]) == (1, 2)
        assert anki.import_package(tmp_path / "steps.apkg")["new"] == 1
        assert [note["Front"] for note in anki.notes()] == ["gato", "perro"]
        assert anki.decks() == ["Mine"]

    def test_each_card_goes_to_the_deck_and_note_type_that_it_names(
        self, tmp_path: Path, anki_collection: CollectionMaker
    ) -> None:
        provider = self.provider(tmp_path)
        provider.sync_templates("Verbs", [{"name": "Verb", "front": "{{Verb}}", "back": "{{Past}}"}])
        provider.sync_cards(
            [
                {"Front": "gato", "Back": "cat", "deck": "One"},
                {"Verb": "ir", "Past": "fui", "deck": "One", "note_type": "Verbs"},
                {"Front": "perro", "Back": "dog", "deck": "Two"},
            ]
        )
        anki = anki_collection()
        assert anki.import_package(tmp_path / "steps.apkg") == {"new": 3}
        assert anki.decks() == ["One", "Two"]
        assert anki.cards() == {"gato": ["Card"], "ir": ["Verb"], "perro": ["Card"]}

    def test_a_note_without_an_identity_keeps_it_through_a_correction(
        self, tmp_path: Path, anki_collection: CollectionMaker, clock: Callable[[int], None]
    ) -> None:
        anki = anki_collection()
        for moment, meaning in ((1_700_000_000, "cta"), (1_700_000_001, "cat")):
            clock(moment)
            self.provider(tmp_path).sync_cards([{"Front": "gato", "Back": meaning}])
            anki.import_package(tmp_path / "steps.apkg")
        assert [note.values() for note in anki.notes()] == [["gato", "cat"]]

    def test_cards_without_templates_say_what_to_call_first(self, tmp_path: Path) -> None:
        result = Apkg({"path": tmp_path / "steps.apkg"}).sync_cards([{"Front": "a", "note_type": "Basic"}])
        assert not result.success
        assert "The note type 'Basic' has no templates" in result.error_message
        assert "sync_templates" in result.error_message
        assert not (tmp_path / "steps.apkg").exists()

    def test_cards_that_could_not_be_written_are_not_kept(self, tmp_path: Path) -> None:
        provider = self.provider(tmp_path)
        sound = tmp_path / "late.mp3"
        provider.sync_media([sound])
        assert not provider.sync_cards([{"Front": "gato", "Back": "cat"}]).success
        sound.touch()
        assert provider.sync_cards([{"Front": "gato", "Back": "cat"}]).metadata["cards"] == 1


class TestConnection:
    def test_there_is_one_where_the_folder_can_be_written(self, tmp_path: Path) -> None:
        assert Apkg({"path": str(tmp_path / "deck.apkg")}).test_connection() is True
        assert list(tmp_path.iterdir()) == []

    def test_there_is_none_without_the_folder(self, tmp_path: Path) -> None:
        assert Apkg({"path": str(tmp_path / "nowhere" / "deck.apkg")}).test_connection() is False

    def test_a_folder_that_is_not_there_is_reported(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere" / "deck.apkg"
        with pytest.raises(ProviderError) as caught:
            Apkg({"path": str(path)}).check_connection()
        assert (
            str(caught.value)
            == f"{path} cannot be written: No such file or directory.\n  Choose another file with the setting `path`."
        )

    def test_without_genanki_the_extra_to_install_is_named(
        self, deck: Deck, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "genanki", None)
        result = Apkg().sync_deck(deck)
        assert not result.success
        assert 'pip install "deckwright[offline]"' in result.error_message
        assert Apkg().test_connection() is False


def test_a_path_that_is_no_text_is_refused() -> None:
    with pytest.raises(SettingError, match="path"):
        Apkg({"path": 7})


def test_the_plugin_makes_what_it_offers_and_nothing_else() -> None:
    [info] = apkg.describe_media_providers()
    assert isinstance(apkg.register_media_provider(info.type, info.name, {}), Apkg)
    assert apkg.register_media_provider("sync", "other", {}) is None
    assert apkg.register_media_provider("audio", "apkg", {}) is None
