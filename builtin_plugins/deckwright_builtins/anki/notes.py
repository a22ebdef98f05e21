"""Finds the notes of a deck among those in Anki, and their differences.

AnkiConnect does not report the guid of a note, so a note is found by its first field, and its reading if it has one.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import attrs

from deckwright import Note

_READING = "Reading"
_CREDIT = "Credit"
_MEDIA = re.compile(r"\[sound:|<img\b")


@attrs.frozen
class ExistingNote:
    """A note in Anki."""

    id: int
    fields: Mapping[str, str]
    tags: frozenset[str]

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> ExistingNote:
        """Return the note of an entry of `notesInfo`."""
        fields = {str(name): str(field["value"]) for name, field in info["fields"].items()}
        return cls(int(info["noteId"]), fields, frozenset(info.get("tags", ())))

    def changes(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Return the fields that must change, with their new content.

        A sound or picture is not replaced by nothing, and neither is its credit: a provider that failed today is no
        reason to lose them.
        """
        changed = {
            name: normalize(value)
            for name, value in fields.items()
            if normalize(self.fields.get(name, "")) != normalize(value)
        }
        unchanged = {
            name for name, value in changed.items() if not value and _MEDIA.search(self.fields.get(name, ""))
        }
        if unchanged and changed.get(_CREDIT, "") in normalize(self.fields.get(_CREDIT, "")):
            unchanged.add(_CREDIT)
        return {name: value for name, value in changed.items() if name not in unchanged}

    def missing_tags(self, tags: Iterable[str]) -> list[str]:
        """Return the tags that this note does not have; Anki ignores their case."""
        own = {tag.casefold() for tag in self.tags}
        return [tag for tag in tags if tag.casefold() not in own]


@attrs.frozen
class Matches:
    """The notes of a deck, compared with those in Anki.

    Attributes:
        known: The notes that Anki has, each with the one in Anki.
        new: The notes that Anki does not have.
        alike: The guids of new notes with the same first field as another note.
    """

    known: tuple[tuple[Note, ExistingNote], ...]
    new: tuple[Note, ...]
    alike: frozenset[str]


def match_notes(notes: Sequence[Note], existing: Sequence[ExistingNote], first: str) -> Matches:
    """Find each note among those in Anki; `first` is the name of the first field.

    If several notes have the same key, those with the fewest differences belong together.
    """
    by_key: dict[tuple[str, str], list[ExistingNote]] = {}
    for each in existing:
        by_key.setdefault(_key(each.fields, first), []).append(each)
    pairs = [
        (len(each.changes(note.fields)), note, each)
        for note in notes
        for each in by_key.get(_key(note.fields, first), ())
    ]
    found: dict[str, ExistingNote] = {}
    taken: set[int] = set()
    for _, note, each in sorted(pairs, key=itemgetter(0)):
        if note.guid not in found and each.id not in taken:
            found[note.guid] = each
            taken.add(each.id)
    new = tuple(note for note in notes if note.guid not in found)
    spellings = Counter(normalize(each.fields.get(first, "")) for each in existing)
    spellings.update(normalize(note.fields.get(first, "")) for note in new)
    alike = frozenset(note.guid for note in new if spellings[normalize(note.fields.get(first, ""))] > 1)
    return Matches(tuple((note, found[note.guid]) for note in notes if note.guid in found), new, alike)


def _key(fields: Mapping[str, str], first: str) -> tuple[str, str]:
    return normalize(fields.get(first, "")), normalize(fields.get(_READING, ""))


def as_stored(note: Note) -> Note:
    """Return a note as Anki would store it."""
    fields = {name: normalize(value.replace("\x1f", " ").strip()) for name, value in note.fields.items()}
    # Anki drops control characters, and calls an empty part of a tag "blank".
    tags = ["_".join(normalize(re.sub(r"[\x00-\x08\x0e-\x1f\x7f]", "", tag)).split()) for tag in note.tags]
    parts = ["::".join(part or "blank" for part in tag.split("::")) for tag in tags if tag]
    return attrs.evolve(note, fields=fields, tags=tuple(dict.fromkeys(parts)))


def normalize(text: str) -> str:
    """Return text with composed characters (NFC), as Anki stores it."""
    return unicodedata.normalize("NFC", text)
