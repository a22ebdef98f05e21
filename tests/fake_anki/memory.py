"""An Anki collection in memory that behaves like one of the real Anki, with a folder for its media.

It has no scheduling, cannot add or remove fields of a note type, and knows only a part of the search language
(see `fake_anki.search`).
"""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
import tempfile
import time
import unicodedata
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from deckwright.anki.package import Package, PackagedNote, open_package, write_package
from deckwright.errors import DataError
from deckwright.providers.deck import CardTemplate, Deck, Note, NoteType
from fake_anki.collection import (
    AnkiCard,
    AnkiCollection,
    AnkiError,
    AnkiNote,
    NoteCheck,
    shown,
)
from fake_anki.search import matcher
from fake_anki.templates import cards_of, check_templates, has_gap

CSS = ".card {\n    font-family: arial;\n    font-size: 20px;\n    text-align: center;\n}\n"
# Numbers are times in milliseconds in Anki; these begin in November 2023.
_FIRST_NUMBER = 1_700_000_000_000


class MemoryCollection(AnkiCollection):
    """A collection as a new profile has it, with the deck "Default" and three of Anki's note types.

    Its media folder is temporary, and gone once the collection is closed or no longer used.
    """

    def __init__(self, *, anki_version: str = "26.09.3") -> None:
        """Make an empty collection.

        Args:
            anki_version: As which Anki to behave: from 26.5 on, the names of media are turned to lower case.
        """
        self._lower_case_media = tuple(map(int, anki_version.split(".")[:2])) >= (26, 5)
        self._folder = Path(tempfile.mkdtemp(prefix="anki-media-"))
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._numbers = itertools.count(_FIRST_NUMBER)
        self._decks = {"Default": 1}
        self._note_types: dict[int, NoteType] = {}
        self._changed: dict[int, int] = {}
        self._notes: dict[int, AnkiNote] = {}
        self._cards: dict[int, int] = {}
        self._guids: dict[str, int] = {}
        self._first_fields: dict[tuple[str, str], dict[int, None]] = {}
        front, back = "{{Front}}", "{{FrontSide}}\n\n<hr id=answer>\n\n{{Back}}"
        turned = "{{FrontSide}}\n\n<hr id=answer>\n\n{{Front}}"
        cards = (CardTemplate("Card 1", front, back), CardTemplate("Card 2", "{{Back}}", turned))
        gaps = CardTemplate("Cloze", "{{cloze:Text}}", "{{cloze:Text}}<br>\n{{Back Extra}}")
        self.add_note_type("Basic", ("Front", "Back"), cards[:1], CSS, is_cloze=False)
        self.add_note_type("Basic (and reversed card)", ("Front", "Back"), cards, CSS, is_cloze=False)
        self.add_note_type("Cloze", ("Text", "Back Extra"), (gaps,), CSS, is_cloze=True)

    @property
    def media_folder(self) -> Path:
        return self._folder

    def close(self) -> None:
        self._remove_folder()

    # Decks

    def decks(self) -> dict[str, int]:
        return dict(self._decks)

    def add_deck(self, name: str) -> int:
        whole = ""
        for part in unicodedata.normalize("NFC", name).split("::"):
            below = f"{whole}::{part.strip() or 'blank'}" if whole else part.strip() or "blank"
            whole = self.deck_called(below) or below
            if whole not in self._decks:
                self._decks[whole] = next(self._numbers)
        return self._decks[whole]

    # Note types

    def note_types(self) -> dict[str, NoteType]:
        return {note_type.name: note_type for note_type in self._note_types.values()}

    def add_note_type(
        self, name: str, fields: Sequence[str], templates: Sequence[CardTemplate], css: str, *, is_cloze: bool
    ) -> NoteType:
        check_templates(name, fields, templates)
        number = next(self._numbers)
        note_type = NoteType(number, name, tuple(fields), tuple(templates), css, is_cloze)
        self._note_types[number] = note_type
        self._changed[number] = int(time.time())
        return note_type

    def change_note_type(self, name: str, templates: Sequence[CardTemplate], css: str) -> None:
        note_type = self._note_type(name)
        check_templates(name, note_type.fields, templates)
        self._note_types[note_type.id] = attrs.evolve(note_type, templates=tuple(templates), css=css)
        self._changed[note_type.id] = int(time.time())
        for note in self.notes():
            if note.note_type == name:
                self._keep(self._with_cards(note, note.decks[0]))

    def _note_type(self, name: str) -> NoteType:
        return next(note_type for note_type in self._note_types.values() if note_type.name == name)

    # Notes

    def check_note(self, note_type: str, fields: Mapping[str, str]) -> NoteCheck:
        first = next(iter(fields.values()))
        if not shown(first).strip():
            return NoteCheck.EMPTY
        if self._note_type(note_type).is_cloze and not has_gap(fields):
            return NoteCheck.CLOZE_MISSING
        return NoteCheck.DUPLICATE if self.same_first_field(first, note_type) else NoteCheck.GOOD

    def same_first_field(self, text: str, note_type: str | None = None) -> list[int]:
        names = [note_type] if note_type is not None else list(self.note_types())
        return [number for name in names for number in self._first_fields.get((name, shown(text)), ())]

    def add_note(self, note_type: str, fields: Mapping[str, str], tags: Iterable[str], deck: str) -> int:
        number = next(self._numbers)
        guid = hashlib.sha256(str(number).encode()).hexdigest()[:10]
        note = AnkiNote(number, guid, note_type, _clean(fields), _tags(tags), (), int(time.time()))
        self._keep(self._with_cards(note, deck))
        return number

    def note(self, note_id: int) -> AnkiNote | None:
        return self._notes.get(note_id)

    def change_note(self, note_id: int, fields: Mapping[str, str], tags: Iterable[str]) -> None:
        note = self._notes[note_id]
        changed = attrs.evolve(note, fields=_clean(fields), tags=_tags(tags), modified=int(time.time()))
        self._keep(self._with_cards(changed, note.decks[0]))

    def remove_notes(self, note_ids: Iterable[int]) -> None:
        for note_id in note_ids:
            if note := self._notes.pop(note_id, None):
                self._forget(note)

    def _with_cards(self, note: AnkiNote, deck: str) -> AnkiNote:
        """Return a note with the cards that it lacks, laid into `deck`; one that would have none gets its first."""
        places = cards_of(self._note_type(note.note_type), note.fields)
        return self._with_cards_at(note, dict.fromkeys(places or ([] if note.cards else [0]), deck))

    def _with_cards_at(self, note: AnkiNote, decks: Mapping[int, str]) -> AnkiNote:
        there = {card.template: card for card in note.cards}
        for place, deck in decks.items():
            if place not in there:
                there[place] = AnkiCard(next(self._numbers), note.id, place, deck)
        return attrs.evolve(note, cards=tuple(there[place] for place in sorted(there)))

    def _keep(self, note: AnkiNote) -> None:
        if older := self._notes.get(note.id):
            self._forget(older)
        self._notes[note.id] = note
        self._guids[note.guid] = note.id
        self._cards.update((card.id, note.id) for card in note.cards)
        self._first_fields.setdefault(_first_field(note), {})[note.id] = None

    def _forget(self, note: AnkiNote) -> None:
        del self._guids[note.guid]
        del self._first_fields[_first_field(note)][note.id]
        for card in note.cards:
            del self._cards[card.id]

    # Searching, and cards

    def find_notes(self, query: str) -> list[int]:
        found = matcher(query)
        notes = sorted(self._notes.items())
        return [number for number, note in notes if any(found(note, card) for card in note.cards)]

    def find_cards(self, query: str) -> list[int]:
        found = matcher(query)
        return sorted(card.id for note in self._notes.values() for card in note.cards if found(note, card))

    def card(self, card_id: int) -> AnkiCard | None:
        note = self._notes.get(self._cards.get(card_id, 0))
        return next((card for card in note.cards if card.id == card_id), None) if note else None

    def move_cards(self, card_ids: Iterable[int], deck: str) -> None:
        for card_id in card_ids:
            if card := self.card(card_id):
                note = self._notes[card.note]
                moved = attrs.evolve(card, deck=deck)
                self._keep(
                    attrs.evolve(note, cards=tuple(moved if c.id == card_id else c for c in note.cards))
                )

    # Media

    def store_media(self, name: str, data: bytes) -> str:
        name = media_name(name)
        if self._lower_case_media:
            name = name.lower()
        if not name:
            raise AnkiError(f"Failed to read '{self.media_folder}/': Is a directory (os error 21)")
        file = self.media_folder / name
        if file.exists() and file.read_bytes() != data:
            file = file.with_name(
                f"{file.stem}-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}{file.suffix}"
            )
        file.write_bytes(data)
        return file.name

    def trash_media(self, name: str) -> None:
        if name in {file.name for file in self.media_folder.iterdir()}:
            (self.media_folder / name).unlink()

    # Packages

    def import_package(self, path: Path) -> int:
        if not path.exists():
            raise AnkiError(f"Failed to open '{path}': No such file or directory (os error 2)")
        try:
            with open_package(path) as package:
                return self._import(package)
        except DataError as error:
            raise AnkiError(f"invalid Zip archive: {error}") from error

    def _import(self, package: Package) -> int:
        notes = list(package.notes())
        # Like Anki: note types, decks and files are only imported with notes that use them.
        modified: dict[int, int] = {}
        for note in notes:
            modified[note.note_type] = max(note.modified, modified.get(note.note_type, 0))
        names = {id: self._import_note_type(package.note_types[id], modified[id]) for id in sorted(modified)}
        for note in notes:
            self._import_note(note, names[note.note_type], package)
        texts = "".join(value for note in notes for value in note.values)
        for name in package.media:
            if name in texts or name.startswith("_"):
                (self.media_folder / media_name(name)).write_bytes(b"".join(package.read(name)))
        return len(notes) + len(package.media)

    def _import_note_type(self, new: NoteType, modified: int) -> str:
        """Import a note type; return its name here, which may be another one."""
        mine = self._note_types.get(new.id)
        if mine and _shape(mine) != _shape(new):
            new, mine = attrs.evolve(new, id=next(self._numbers)), None
        if mine and modified <= self._changed[new.id]:
            return mine.name
        name = new.name
        while any(other.name == name and other.id != new.id for other in self._note_types.values()):
            name += "+"
        self._note_types[new.id] = attrs.evolve(new, name=name)
        self._changed[new.id] = modified
        for note in self.notes() if mine and mine.name != name else ():
            if mine and note.note_type == mine.name:
                self._keep(attrs.evolve(note, note_type=name))
        return name

    def _import_note(self, packaged: PackagedNote, note_type: str, package: Package) -> None:
        fields = dict(zip(self._note_type(note_type).fields, packaged.values, strict=True))
        decks = {card.template: package.decks[card.deck] for card in packaged.cards}
        for deck in decks.values():
            self.add_deck(deck)
        number = self._guids.get(packaged.guid)
        if number is None:
            number = packaged.id
            while number in self._notes:
                number = next(self._numbers)
            note = AnkiNote(
                number, packaged.guid, note_type, fields, _tags(packaged.tags), (), packaged.modified
            )
            self._keep(self._with_cards_at(note, decks))
            return
        mine = self._notes[number]
        # A note that has another note type here, or that is not older than this one, stays as it is.
        if mine.note_type == note_type and packaged.modified > mine.modified:
            changed = attrs.evolve(mine, fields=fields, tags=_tags(packaged.tags), modified=packaged.modified)
            self._keep(self._with_cards_at(changed, decks))

    def export_package(self, deck: str, path: Path) -> None:
        """Write a package. Unlike Anki, it puts all cards of a note into the deck of the first."""
        by_deck: dict[tuple[str, str], list[Note]] = {}
        for note in self.notes():
            decks = [name for name in note.decks if f"{name}::".startswith(f"{deck}::")]
            if decks:
                exported = Note(note.guid, dict(note.fields), note.tags)
                by_deck.setdefault((decks[0], note.note_type), []).append(exported)
        made = [Deck(name, self._note_type(kind), notes) for (name, kind), notes in by_deck.items()]
        texts = "".join(
            value for notes in by_deck.values() for note in notes for value in note.fields.values()
        )
        files = [
            file for file in self.media_folder.iterdir() if file.name in texts or file.name.startswith("_")
        ]
        write_package(path, made, files)


def media_name(name: str) -> str:
    """Return the name under which Anki keeps a media file, but for its case."""
    name = re.sub(r'[\x00-\x1f?<>:"|*/\\\[\]^]', "", unicodedata.normalize("NFC", name))
    return f"{name}_" if name.endswith((" ", ".")) else name


def _clean(fields: Mapping[str, str]) -> dict[str, str]:
    cleaned = {
        name: unicodedata.normalize("NFC", value.replace("\x1f", "")) for name, value in fields.items()
    }
    for value in cleaned.values():
        value.encode()  # half a surrogate pair is no text to Anki either
    return cleaned


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    by_case: dict[str, str] = {}
    for tag in " ".join(tags).split():
        by_case.setdefault(tag.casefold(), tag)
    return tuple(by_case[tag] for tag in sorted(by_case))


def _first_field(note: AnkiNote) -> tuple[str, str]:
    return note.note_type, shown(next(iter(note.fields.values())))


def _shape(note_type: NoteType) -> tuple[object, ...]:
    return note_type.fields, tuple(template.name for template in note_type.templates), note_type.is_cloze
