"""What an Anki collection is to the server of `fake_anki.server`: the interface, and its values.

Two things keep a collection: `fake_anki.memory.MemoryCollection`, and, in this project's
own tests, the real Anki.
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
    """What Anki or the add-on objects to; the message is what a client is told."""


@attrs.frozen
class AnkiCard:
    """A card: which note it belongs to, which of the note type's templates it shows, and the deck it lies in."""

    id: int
    note: int
    template: int
    deck: str


@attrs.frozen
class AnkiNote:
    """A note that is in the collection.

    Attributes:
        id: Its number.
        guid: What an import knows it by.
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
    """What Anki thinks of a note before it is added, with Anki's own numbers."""

    GOOD = 0
    EMPTY = 1
    DUPLICATE = 2
    CLOZE_MISSING = 3


class AnkiCollection(ABC):
    """Notes, note types, decks and media, with a folder on this disk for the media.

    Whatever goes wrong is raised as an exception whose text is what Anki says. Numbers that are unknown give
    `None` or are passed by.
    """

    @property
    @abstractmethod
    def media_folder(self) -> Path:
        """The folder of the media files; a file that is put there is in the collection."""

    @abstractmethod
    def close(self) -> None:
        """Remove what this collection keeps on the disk, or let go of it."""

    @abstractmethod
    def decks(self) -> dict[str, int]:
        """Return the number of each deck, by its name."""

    @abstractmethod
    def add_deck(self, name: str) -> int:
        """Make a deck, and those it lies in, unless they are there; return its number."""

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
        """Give the templates that are there, in their order, new sides; and all of them a style."""

    @abstractmethod
    def check_note(self, note_type: str, fields: Mapping[str, str]) -> NoteCheck:
        """Say what is wrong with a note that is not added yet, within its note type."""

    @abstractmethod
    def same_first_field(self, text: str, note_type: str | None = None) -> list[int]:
        """Return the notes whose first field shows this text, of one note type or of any."""

    @abstractmethod
    def add_note(self, note_type: str, fields: Mapping[str, str], tags: Iterable[str], deck: str) -> int:
        """Add a note with its cards, whatever `check_note` says of it; return its number."""

    @abstractmethod
    def note(self, note_id: int) -> AnkiNote | None:
        """Return a note."""

    @abstractmethod
    def change_note(self, note_id: int, fields: Mapping[str, str], tags: Iterable[str]) -> None:
        """Give a note that is there other fields, all of them, and other tags; cards that it lacks are made."""

    @abstractmethod
    def remove_notes(self, note_ids: Iterable[int]) -> None:
        """Remove notes with their cards."""

    @abstractmethod
    def find_notes(self, query: str) -> list[int]:
        """Return the notes that a search finds, in the order of their numbers; all for an empty one."""

    @abstractmethod
    def find_cards(self, query: str) -> list[int]:
        """Return the cards that a search finds, in the order of their numbers; all for an empty one."""

    @abstractmethod
    def card(self, card_id: int) -> AnkiCard | None:
        """Return a card."""

    @abstractmethod
    def move_cards(self, card_ids: Iterable[int], deck: str) -> None:
        """Lay cards into a deck that is there."""

    @abstractmethod
    def store_media(self, name: str, data: bytes) -> str:
        """Keep a media file; return the name that it got."""

    @abstractmethod
    def trash_media(self, name: str) -> None:
        """Remove the media file of exactly this name, if there is one."""

    @abstractmethod
    def import_package(self, path: Path) -> int:
        """Import an `.apkg`; return how many notes and media files are in it."""

    @abstractmethod
    def export_package(self, deck: str, path: Path) -> None:
        """Write a deck that is there, with those that lie in it, to an `.apkg`."""

    def notes(self) -> list[AnkiNote]:
        """Return all notes, in the order of their numbers."""
        return [note for note_id in self.find_notes("") if (note := self.note(note_id))]

    def media(self) -> dict[str, bytes]:
        """Return the content of each media file, by name."""
        return {file.name: file.read_bytes() for file in sorted(self.media_folder.iterdir())}

    def deck_called(self, name: str) -> str | None:
        """Return the name of a deck as it was first written; to Anki, case makes no difference."""
        return next((deck for deck in self.decks() if deck.casefold() == name.casefold()), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def shown(field: str) -> str:
    """Return what is to be seen of a field: without tags, but with the names of the pictures.

    By this Anki tells whether two first fields are the same.
    """
    named = re.sub(r"""(?is)<img[^>]+src\s*=\s*["']?([^"'>\s]+)[^>]*>""", r" \1 ", field)
    bare = re.sub(r"(?is)<!--.*?-->|<style.*?</style>|<script.*?</script>|<[^>]*>", "", named)
    return html.unescape(bare).replace("\xa0", " ")
