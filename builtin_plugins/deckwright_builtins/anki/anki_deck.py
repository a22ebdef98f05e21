"""A deck in Anki: finds it or creates it, and compares its notes with those of a build."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

import attrs

from deckwright import Deck, Note
from deckwright_builtins.anki.connection import AnkiConnect
from deckwright_builtins.anki.media import MediaStore
from deckwright_builtins.anki.notes import ExistingNote, Matches, match_notes, normalize

T = TypeVar("T")

_BATCH_SIZE = 500
_DEFAULT_DECK_ID = 1  # its name depends on Anki's language
# Words with another meaning in a search for a deck, if they are written like this.
_SPECIAL_NAMES = ("current", "filtered")


class AnkiDeck:
    """A deck of a build, and its counterpart in Anki.

    Attributes:
        deck: The deck of the build, with the names in Anki of itself and its note type.
        misplaced: The ids of its notes that `existing_notes` found in Anki's default deck.
    """

    def __init__(self, anki: AnkiConnect, deck: Deck) -> None:
        self.anki = anki
        self.deck = deck
        self.media = MediaStore(anki)
        self.misplaced: set[int] = set()
        ids = anki.call("deckNamesAndIds")
        if deck.name not in ids:
            created = anki.call("createDeck", deck=deck.name)
            ids = anki.call("deckNamesAndIds")
            # Anki may write the name in another way.
            name = next((name for name, id in ids.items() if id == created), deck.name)
            self.deck = attrs.evolve(deck, name=name)
        self._default_deck = next((name for name, id in ids.items() if id == _DEFAULT_DECK_ID), "Default")

    def match(self, notes: Sequence[Note], existing: Sequence[ExistingNote]) -> Matches:
        """Find the notes of the build among existing ones."""
        return match_notes(notes, existing, self.deck.note_type.fields[0])

    def existing_notes(self) -> list[ExistingNote]:
        """Return the notes of the deck, and those that Anki has put into its default deck instead.

        A note in the default deck that differs in anything was not put there by an earlier run.
        """
        own = self._note_ids(self._in_deck(self.deck.name))
        others = set(self._note_ids(self._in_deck(self._default_deck))) - set(own)
        contents = {self._content(self.media.fields(note)) for note in self.deck.notes}
        misplaced = [note for note in self.notes(sorted(others)) if self._content(note.fields) in contents]
        self.misplaced = {note.id for note in misplaced}
        return [*self.notes(own), *misplaced]

    def note_ids(self) -> list[int]:
        """Return the ids of all notes of the note type, in any deck."""
        return self._note_ids(self._of_note_type)

    def notes(self, ids: Iterable[int]) -> Iterator[ExistingNote]:
        """Yield the notes with these ids that still exist."""
        for batch in batches(ids, _BATCH_SIZE):
            for info in self.anki.call("notesInfo", notes=list(batch)):
                if info:
                    yield ExistingNote.from_info(info)

    def match_added(self, notes: Sequence[Note], before: set[int]) -> Matches:
        """Find new notes among those of the note type, in any deck, except the ones that existed before."""
        ids = [id for id in self.note_ids() if id not in before]
        return self.match(notes, list(self.notes(ids)))

    def card_count(self) -> int:
        """Return how many cards the deck has of the note type."""
        return len(self.anki.call("findCards", query=self._in_deck(self.deck.name)))

    def move_cards(self, note_ids: Sequence[int]) -> int:
        """Move cards that some releases of Anki silently put into another deck; return how many."""
        moved = 0
        for batch in batches(note_ids, _BATCH_SIZE):
            cards = self.anki.call("findCards", query=f"nid:{','.join(map(str, batch))}")
            decks = self.anki.call("getDecks", cards=cards)
            misplaced = [card for deck, its in decks.items() if not self._contains(deck) for card in its]
            if misplaced:
                self.anki.call("changeDeck", cards=misplaced, deck=self.deck.name)
                moved += len(misplaced)
        return moved

    @property
    def _of_note_type(self) -> str:
        return f'note:"{quoted(self.deck.note_type.name)}"'

    def _in_deck(self, name: str) -> str:
        name = name.title() if name in _SPECIAL_NAMES else name
        return f'deck:"{quoted(name)}" {self._of_note_type}'

    def _note_ids(self, query: str) -> list[int]:
        return list(self.anki.call("findNotes", query=query))

    def _contains(self, deck: str) -> bool:
        own, other = self.deck.name.casefold(), deck.casefold()
        return other == own or other.startswith(f"{own}::")

    def _content(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(normalize(fields.get(name, "")) for name in self.deck.note_type.fields)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size` items."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def quoted(text: str) -> str:
    """Return text for a place between quotes in a search, where some characters have a special meaning."""
    return re.sub(r'([\\"*_])', r"\\\1", text)
