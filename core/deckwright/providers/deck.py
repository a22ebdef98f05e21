"""What a sync provider is handed: a deck, its notes, and the note type of these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import ProviderError


@attrs.frozen
class CardTemplate:
    """One side to ask and one to answer, in Anki's template language."""

    name: str
    front: str
    back: str


@attrs.frozen
class NoteType:
    """What a note holds and which cards are made of it.

    Attributes:
        id: A number that stays the same for ever, so that an import updates what is there already.
        name: Its name in Anki.
        fields: The names of its fields, in order; the first is the sort field.
        templates: Its cards.
        css: The style of all of them.
        is_cloze: Whether its cards are made from the gaps in a text.
    """

    id: int
    name: str
    fields: tuple[str, ...]
    templates: tuple[CardTemplate, ...]
    css: str
    is_cloze: bool = False


@attrs.frozen
class Note:
    """One word with all that belongs to it.

    Attributes:
        guid: What makes this note the same note in the next build.
        fields: The content of each field of the note type, as HTML.
        tags: Tags without spaces.
    """

    guid: str
    fields: dict[str, str]
    tags: tuple[str, ...] = ()


@attrs.frozen
class Deck:
    """A finished deck, ready to be handed over.

    Attributes:
        name: Its name in Anki; `::` makes a deck within a deck.
        note_type: The note type of all of its notes.
        notes: Its notes, in order.
        media: The files that the notes refer to by their bare names.
        output: The file to write, for a provider that writes one.
        description: A few lines about it, as HTML: what it was made from, and the credits that are due.
        is_named: Whether somebody chose its name; else it is made from the word list's.
    """

    name: str
    note_type: NoteType
    notes: Sequence[Note]
    media: Sequence[Path] = ()
    output: Path | None = None
    description: str = ""
    is_named: bool = False


# The keys of a card that are not fields of its note.
_ABOUT_THE_CARD = {"guid", "tags", "deck", "note_type"}
_PLAIN_STYLE = ".card { font-family: sans-serif; font-size: 20px; text-align: center; }"


def stable_id(name: str) -> int:
    """Return the same number for the same name, from 2^30 up to 2^31: for decks and note types that have none."""
    return (1 << 30) + int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (1 << 30)


def decks_of(
    cards: Iterable[Mapping[str, Any]],
    templates: Mapping[str, Sequence[CardTemplate]],
    *,
    deck: str,
    media: Iterable[Path] = (),
) -> list[Deck]:
    """Sort loose cards, as `sync_cards` takes them, into decks, each with the notes of one note type.

    Args:
        cards: The cards.
        templates: The templates of each note type, by its name.
        deck: The deck of cards that name none.
        media: What the cards refer to.

    Raises:
        ProviderError: A card is of a note type that there are no templates for.
    """
    by_note_type: dict[str, list[Mapping[str, Any]]] = {}
    for card in cards:
        name = str(card.get("note_type") or next(iter(templates), None))
        if name not in templates:
            raise ProviderError(
                f"There are no templates for the note type {name!r}.",
                hint="Call sync_templates before sync_cards.",
            )
        by_note_type.setdefault(name, []).append(card)
    decks: list[Deck] = []
    for name, group in by_note_type.items():
        fields = tuple(dict.fromkeys(key for card in group for key in card if key not in _ABOUT_THE_CARD))
        note_type = NoteType(
            stable_id(f"note type {name}"), name, fields, tuple(templates[name]), _PLAIN_STYLE
        )
        notes: dict[str, list[Note]] = {}
        for card in group:
            notes.setdefault(str(card.get("deck") or deck), []).append(_note(card, note_type))
        decks += [Deck(title, note_type, tuple(its), tuple(media)) for title, its in notes.items()]
    return decks


def _note(card: Mapping[str, Any], note_type: NoteType) -> Note:
    fields = {name: str(card.get(name, "")) for name in note_type.fields}
    first = next(iter(fields.values()), "")
    guid = card.get("guid") or hashlib.sha256(f"{note_type.name}\x1f{first}".encode()).hexdigest()[:20]
    return Note(str(guid), fields, tuple(card.get("tags") or ()))
