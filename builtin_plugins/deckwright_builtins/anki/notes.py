"""Which of a deck's notes are in Anki already, and what is different about them.

AnkiConnect does not tell the identity that a note had in a package, so a note is known by what it says: its first
field, and its reading where it has one.
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
class Existing:
    """A note in Anki.

    Attributes:
        id: Anki's number for it.
        fields: The content of its fields.
        tags: Its tags.
    """

    id: int
    fields: Mapping[str, str]
    tags: frozenset[str]

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> Existing:
        """Return the note that an entry of `notesInfo` describes."""
        fields = {str(name): str(field["value"]) for name, field in info["fields"].items()}
        return cls(int(info["noteId"]), fields, frozenset(info.get("tags", ())))

    def changes(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Return the new content of those fields in which this note differs from how it should be.

        A sound or picture is not given up for none: that a provider failed today is no reason to lose it. Nor is
        its credit then. All other fields become what they should be.
        """
        changed = {
            name: composed(value)
            for name, value in fields.items()
            if composed(self.fields.get(name, "")) != composed(value)
        }
        kept = {
            name for name, value in changed.items() if not value and _MEDIA.search(self.fields.get(name, ""))
        }
        if kept and changed.get(_CREDIT, "") in composed(self.fields.get(_CREDIT, "")):
            kept.add(_CREDIT)
        return {name: value for name, value in changed.items() if name not in kept}

    def lacks(self, tags: Iterable[str]) -> list[str]:
        """Return those tags that this one does not have; to Anki, case makes no difference."""
        there = {tag.casefold() for tag in self.tags}
        return [tag for tag in tags if tag.casefold() not in there]


@attrs.frozen
class Matched:
    """A deck's notes, sorted by whether Anki has them.

    Attributes:
        there: Those that it has, with what it has.
        new: Those that it has not.
        alike: Of `new`, those that are written like another note, and mean something else.
    """

    there: tuple[tuple[Note, Existing], ...]
    new: tuple[Note, ...]
    alike: frozenset[str]


def match(notes: Sequence[Note], existing: Sequence[Existing], first: str) -> Matched:
    """Find each note among those that Anki has.

    Of several notes that are written alike, each goes with the one that it has most in common with.

    Args:
        notes: The notes of a deck.
        existing: What Anki has.
        first: The name of the first field.
    """
    left: dict[tuple[str, str], list[Existing]] = {}
    for there in existing:
        left.setdefault(_key(there.fields, first), []).append(there)
    wanted: dict[tuple[str, str], list[Note]] = {}
    for note in notes:
        wanted.setdefault(_key(note.fields, first), []).append(note)
    found: dict[str, Existing] = {}
    for key, group in wanted.items():
        pairs = [
            (len(there.changes(note.fields)), note, there) for note in group for there in left.get(key, ())
        ]
        taken: set[int] = set()
        # The pair with the fewest differences first; in order, where they are equal.
        for _, note, there in sorted(pairs, key=itemgetter(0)):
            if note.guid not in found and there.id not in taken:
                found[note.guid] = there
                taken.add(there.id)
    new = tuple(note for note in notes if note.guid not in found)
    written = Counter(composed(there.fields.get(first, "")) for there in existing)
    written.update(composed(note.fields.get(first, "")) for note in new)
    alike = frozenset(note.guid for note in new if written[composed(note.fields.get(first, ""))] > 1)
    return Matched(tuple((note, found[note.guid]) for note in notes if note.guid in found), new, alike)


def _key(fields: Mapping[str, str], first: str) -> tuple[str, str]:
    return composed(fields.get(first, "")), composed(fields.get(_READING, ""))


def as_kept(note: Note) -> Note:
    """Return a note as Anki keeps it, whichever way it comes there."""
    fields = {name: composed(value.replace("\x1f", " ").strip()) for name, value in note.fields.items()}
    # Controls are dropped, and an empty part of a tag is called blank.
    tags = ["_".join(composed(re.sub(r"[\x00-\x08\x0e-\x1f\x7f]", "", tag)).split()) for tag in note.tags]
    parts = ["::".join(part or "blank" for part in tag.split("::")) for tag in tags if tag]
    return attrs.evolve(note, fields=fields, tags=tuple(dict.fromkeys(parts)))


def composed(text: str) -> str:
    """Return text with its letters and their accents together, as Anki keeps it."""
    return unicodedata.normalize("NFC", text)
