"""Whole decks: the example lists, through the providers of the embedded default, into the real Anki."""

from __future__ import annotations

import csv
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from deckwright import BuildReport, build_deck

EXAMPLES = Path(__file__).parents[2] / "examples"


@attrs.frozen
class Built:
    rows: list[dict[str, str]]
    report: BuildReport
    path: Path


@pytest.fixture(scope="module", params=["spanish", "german", "japanese"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One example list, built once with nothing but its path and that of the deck."""
    words = EXAMPLES / f"{request.param}.csv"
    with words.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    path = tmp_path_factory.mktemp("decks") / f"{request.param}.apkg"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # where there is no deckwright.toml
        report = build_deck(words, output=path)
    return Built(rows, report, path)


@pytest.fixture
def anki(built: Built, anki_collection: Callable[[], Any]) -> Any:
    """A collection of Anki with the deck in it."""
    collection = anki_collection()
    assert collection.import_package(built.path) == {"new": len(built.rows)}
    return collection


def test_every_word_has_a_sound_and_nothing_failed(built: Built) -> None:
    report = built.report
    assert (report.words, report.repeated) == (len(built.rows), 0) == (70, 0)
    assert report.delivered["sounds"] == (70, 70)
    assert [missing for missing in report.missing if missing.failed] == []
    assert report.problems == ()
    assert report.outputs == {"apkg": built.path}


def test_most_words_have_a_picture(built: Built) -> None:
    pictures, words = built.report.delivered["pictures"]
    assert pictures >= words / 2
    assert len(built.report.missing) == words - pictures


def test_anki_has_the_words_of_the_list_and_three_cards_for_each(built: Built, anki: Any) -> None:
    notes = anki.notes()
    assert [note["Word"] for note in notes] == [row["word"] for row in built.rows]
    assert [note["Translation"] for note in notes] == [row["translation"] for row in built.rows]
    assert [sorted(note.tags) for note in notes] == [sorted(row["tags"].split()) for row in built.rows]
    assert all(names == ["Recognise", "Recall", "Listen"] for names in anki.cards().values())
    assert anki.col.card_count() == built.report.cards == 210
    assert anki.decks() == [built.path.stem.capitalize()]


def test_no_media_file_is_missing_or_left_over(built: Built, anki: Any) -> None:
    notes = anki.notes()
    assert anki.media_problems() == []
    assert anki.media() == {
        file for note in notes for file in anki.col.media.files_in_str(note.mid, note.joined_fields())
    }
    assert sum(note["Picture"] != "" for note in notes) == built.report.delivered["pictures"][0]


def test_every_sound_is_an_mp3_that_lasts_as_long_as_a_word(anki: Any) -> None:
    import miniaudio

    sounds = [path for path in Path(anki.col.media.dir()).iterdir() if path.suffix == ".mp3"]
    assert len(sounds) > 60  # words that sound alike may share one
    for path in sounds:
        sound = miniaudio.decode(path.read_bytes())
        samples = sound.samples
        assert sound.num_frames / sound.sample_rate == pytest.approx(1.2, abs=0.95), path
        assert max(samples) > 3000, f"{path} is too quiet to be heard"


def test_every_picture_is_an_image_that_needs_nothing_from_elsewhere(anki: Any) -> None:
    pictures = [path for path in Path(anki.col.media.dir()).iterdir() if path.suffix != ".mp3"]
    assert pictures
    for path in pictures:
        root = ET.fromstring(path.read_bytes())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("viewBox")
        links = [value for element in root.iter() for name, value in element.items() if name.endswith("href")]
        assert all(link.startswith("#") for link in links)
        assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def test_credit_is_given_wherever_there_is_a_picture(anki: Any) -> None:
    for note in anki.notes():
        assert ("OpenMoji" in note["Credit"]) == (note["Picture"] != "")
    [deck] = [deck for deck in anki.col.decks.all() if deck["name"] != "Default"]
    assert "CC BY-SA 4.0" in deck["desc"]


def test_importing_it_again_adds_nothing(built: Built, anki: Any) -> None:
    again = anki.import_package(built.path)
    assert again == {"duplicate": len(built.rows)}
    assert anki.col.note_count() == len(built.rows)
    assert anki.media_problems() == []


def test_a_changed_translation_updates_the_note_in_place(
    anki_collection: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = Path("spanish.csv")

    def build_and_import(*lines: str) -> dict[str, int]:
        words.write_text("\n".join(["word,translation", *lines]), encoding="utf-8")
        build_deck(words, output="spanish.apkg")
        return collection.import_package(Path("spanish.apkg"))

    collection = anki_collection()
    assert build_and_import("el perro,cat", "la casa,house") == {"new": 2}
    before = {note["Word"]: (note.id, note.card_ids()) for note in collection.notes()}

    # Anki tells a newer note by whole seconds; the next build is one of tomorrow.
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    counts = build_and_import("el perro,dog", "la casa,house", "el gato,cat")
    assert (counts["new"], counts["updated"]) == (1, 2)
    notes = {note["Word"]: note for note in collection.notes()}
    assert {word: note["Translation"] for word, note in notes.items()} == {
        "el perro": "dog",
        "la casa": "house",
        "el gato": "cat",
    }
    for word, (note_id, card_ids) in before.items():
        assert (notes[word].id, notes[word].card_ids()) == (note_id, card_ids)
    assert not collection.col.media.check().missing


def test_the_same_words_make_the_same_deck_again(anki_collection: Callable[[], Any], tmp_path: Path) -> None:
    rows = ["el perro", {"word": "el gato", "translation": "cat"}]
    for number in (1, 2):
        build_deck(rows, language="es", deck="Animals", output=tmp_path / f"{number}.apkg")
    collection = anki_collection()
    assert collection.import_package(tmp_path / "1.apkg") == {"new": 2}
    assert "new" not in collection.import_package(tmp_path / "2.apkg")
    assert collection.col.note_count() == 2
