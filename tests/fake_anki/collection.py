"""The interface of a collection for `fake_anki.server`.

There are two: `fake_anki.memory.MemoryCollection`, and the real Anki in `fake_anki.real_collection`.
"""

from __future__ import annotations

import enum
import html
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from deckwright.providers.deck import CardTemplate, NoteType

if TYPE_CHECKING:
    from typing_extensions import Self


class AnkiError(Exception):
    """An error of Anki or the add-on, with its message."""


@attrs.frozen
class AnkiCard:
    """A card: its note, the number of its template, and its deck."""

    id: int
    note: int
    template: int
    deck: str


@attrs.frozen
class AnkiNote:
    """A note in the collection.

    Attributes:
        id: Its number.
        guid: The id by which an import recognises it.
        note_type: The name of its note type.
        fields: The content of every field, in order.
        tags: Its tags, sorted.
        cards: Its cards, in the order of the templates.
        modified: When it was last changed, in whole seconds since 1970.
    """

    id: int
    guid: str
    note_type: str
    fields: Mapping[str, str]
    tags: tuple[str, ...]
    cards: tuple[AnkiCard, ...]
    modified: int

    @property
    def decks(self) -> list[str]:
        """The deck of each card."""
        return [card.deck for card in self.cards]


class NoteCheck(enum.IntEnum):
    """The result of Anki's check of a note before it is added, with Anki's own numbers."""

    GOOD = 0
    EMPTY = 1
    DUPLICATE = 2
    CLOZE_MISSING = 3


class AnkiCollection(ABC):
    """Notes, note types, decks and media, with a folder for the media files.

    Errors are raised as exceptions with the message of Anki. Unknown ids give `None` or are ignored.
    """

    @property
    @abstractmethod
    def media_folder(self) -> Path:
        """The folder of the media files; a file that is added there is in the collection."""

    @abstractmethod
    def close(self) -> None:
        """Close the collection and remove its files."""

    @abstractmethod
    def decks(self) -> dict[str, int]:
        """Return the number of each deck, by its name."""

    @abstractmethod
    def add_deck(self, name: str) -> int:
        """Make a deck and its parents unless they exist; return its id."""

    @abstractmethod
    def note_types(self) -> dict[str, NoteType]:
        """Return all note types, by name."""

    @abstractmethod
    def add_note_type(
        self, name: str, fields: Sequence[str], templates: Sequence[CardTemplate], css: str, *, is_cloze: bool
    ) -> NoteType:
        """Add a note type whose name is not taken."""

    @abstractmethod
    def change_note_type(self, name: str, templates: Sequence[CardTemplate], css: str) -> None:
        """Change the sides of the templates, in order, and the style."""

    @abstractmethod
    def check_note(self, note_type: str, fields: Mapping[str, str]) -> NoteCheck:
        """Check a note before it is added; duplicates are searched within its note type."""

    @abstractmethod
    def same_first_field(self, text: str, note_type: str | None = None) -> list[int]:
        """Return the notes whose first field shows this text, of one note type or of all."""

    @abstractmethod
    def add_note(self, note_type: str, fields: Mapping[str, str], tags: Iterable[str], deck: str) -> int:
        """Add a note with its cards, without checking it; return its id."""

    @abstractmethod
    def note(self, note_id: int) -> AnkiNote | None:
        """Return a note."""

    @abstractmethod
    def change_note(self, note_id: int, fields: Mapping[str, str], tags: Iterable[str]) -> None:
        """Replace all fields and tags of a note, and add the cards that are missing."""

    @abstractmethod
    def remove_notes(self, note_ids: Iterable[int]) -> None:
        """Remove notes with their cards."""

    @abstractmethod
    def find_notes(self, query: str) -> list[int]:
        """Return the notes that a search finds, in the order of their ids; all for an empty one."""

    @abstractmethod
    def find_cards(self, query: str) -> list[int]:
        """Return the cards that a search finds, in the order of their ids; all for an empty one."""

    @abstractmethod
    def card(self, card_id: int) -> AnkiCard | None:
        """Return a card."""

    @abstractmethod
    def move_cards(self, card_ids: Iterable[int], deck: str) -> None:
        """Move cards to an existing deck."""

    @abstractmethod
    def store_media(self, name: str, data: bytes) -> str:
        """Store a media file; return its name, which may be changed."""

    @abstractmethod
    def trash_media(self, name: str) -> None:
        """Remove the media file with exactly this name, if it exists."""

    @abstractmethod
    def import_package(self, path: Path) -> int:
        """Import an `.apkg`; return its number of notes and media files."""

    @abstractmethod
    def export_package(self, deck: str, path: Path) -> None:
        """Write an existing deck with its subdecks to an `.apkg`."""

    def notes(self) -> list[AnkiNote]:
        """Return all notes, in the order of their ids."""
        return [note for note_id in self.find_notes("") if (note := self.note(note_id))]

    def media(self) -> dict[str, bytes]:
        """Return the content of each media file, by name."""
        return {file.name: file.read_bytes() for file in sorted(self.media_folder.iterdir())}

    def deck_called(self, name: str) -> str | None:
        """Return the name of a deck as it was first written; Anki ignores case."""
        return next((deck for deck in self.decks() if deck.casefold() == name.casefold()), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def shown(field: str) -> str:
    """Return the visible text of a field, with the names of its pictures.

    Anki compares first fields by it.
    """
    named = re.sub(r"""(?is)<img[^>]+src\s*=\s*["']?([^"'>\s]+)[^>]*>""", r" \1 ", field)
    bare = re.sub(r"(?is)<!--.*?-->|<style.*?</style>|<script.*?</script>|<[^>]*>", "", named)
    return html.unescape(bare).replace("\xa0", " ")
