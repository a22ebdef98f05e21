"""A deck, its notes and their note type: what a sync provider receives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import ProviderError


@attrs.frozen
class CardTemplate:
    """The front and back of a card, in Anki's template language."""

    name: str
    front: str
    back: str


@attrs.frozen
class NoteType:
    """The fields of a note, and the cards that are made from it.

    Attributes:
        id: A number that never changes, so that an import updates existing notes.
        name: Its name in Anki.
        fields: The names of its fields, in order; the first is the sort field.
        templates: Its cards.
        css: The style of all cards.
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
    """One word with everything that belongs to it.

    Attributes:
        guid: Identifies this note in the next build.
        fields: The content of each field of the note type, as HTML.
        tags: Tags without spaces.
    """

    guid: str
    fields: dict[str, str]
    tags: tuple[str, ...] = ()


@attrs.frozen
class Deck:
    """A finished deck.

    Attributes:
        name: Its name in Anki; `::` makes a subdeck.
        note_type: The note type of all its notes.
        notes: Its notes, in order.
        media: The files that the notes refer to by their names.
        output: The file to write, for a provider that writes files.
        description: A few lines about it, as HTML: its source, and the credits.
        is_named: Whether the user chose its name; otherwise it is made from the name of the word list.
    """

    name: str
    note_type: NoteType
    notes: Sequence[Note]
    media: Sequence[Path] = ()
    output: Path | None = None
    description: str = ""
    is_named: bool = False


# The keys of a card that are not fields of its note.
_CARD_KEYS = {"guid", "tags", "deck", "note_type"}
_PLAIN_STYLE = ".card { font-family: sans-serif; font-size: 20px; text-align: center; }"


def stable_id(name: str) -> int:
    """Return an id for a deck or note type without one: from 2^30 to 2^31, and always the same for a name."""
    return (1 << 30) + int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (1 << 30)


def decks_of(
    cards: Iterable[Mapping[str, Any]],
    templates: Mapping[str, Sequence[CardTemplate]],
    *,
    deck: str,
    media: Iterable[Path] = (),
) -> list[Deck]:
    """Sort cards, as `sync_cards` takes them, into decks of one note type each.

    Args:
        cards: The cards.
        templates: The templates of each note type, by its name.
        deck: The deck for cards that name none.
        media: The files that the cards refer to.

    Raises:
        ProviderError: A card has a note type without templates.
    """
    by_note_type: dict[str, list[Mapping[str, Any]]] = {}
    for card in cards:
        name = str(card.get("note_type") or next(iter(templates), None))
        if name not in templates:
            raise ProviderError(
                f"The note type {name!r} has no templates.",
                hint="Call sync_templates before sync_cards.",
            )
        by_note_type.setdefault(name, []).append(card)
    decks: list[Deck] = []
    for name, group in by_note_type.items():
        fields = tuple(dict.fromkeys(key for card in group for key in card if key not in _CARD_KEYS))
        note_type = NoteType(
            stable_id(f"note type {name}"), name, fields, tuple(templates[name]), _PLAIN_STYLE
        )
        notes: dict[str, list[Note]] = {}
        for card in group:
            notes.setdefault(str(card.get("deck") or deck), []).append(_note(card, note_type))
        decks += [Deck(title, note_type, tuple(group), tuple(media)) for title, group in notes.items()]
    return decks


def _note(card: Mapping[str, Any], note_type: NoteType) -> Note:
    fields = {name: str(card.get(name, "")) for name in note_type.fields}
    first = next(iter(fields.values()), "")
    guid = card.get("guid") or hashlib.sha256(f"{note_type.name}\x1f{first}".encode()).hexdigest()[:20]
    return Note(str(guid), fields, tuple(card.get("tags") or ()))
