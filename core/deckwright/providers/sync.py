"""The contract of providers that a deck goes to, and what a deck is."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import FAULTS, ProviderError, raised_at, told
from deckwright.providers.base import Provider
from deckwright.secrets import redact, secret_values


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
    """

    id: int
    name: str
    fields: tuple[str, ...]
    templates: tuple[CardTemplate, ...]
    css: str


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


@attrs.define
class SyncRequest:
    """What is handed over, and where it goes.

    Attributes:
        target: The part of the collection that is meant: `"templates"`, `"media"`, `"cards"`.
        data: What is handed over.
        params: What else is known.
    """

    target: str
    data: Any
    params: dict[str, Any] | None = None


@attrs.define
class SyncResult:
    """What came of handing something over.

    Attributes:
        success: Whether all of it arrived.
        processed_count: How many items did.
        metadata: What else is known; `path` is the file that was written.
        error_message: Why it did not, for people; empty when it did.
        created_ids: What the other side calls the new notes, where it says.
    """

    success: bool
    processed_count: int
    metadata: dict[str, Any] = attrs.field(factory=dict)
    error_message: str = ""
    created_ids: list[int] | None = None


class SyncProvider(Provider, ABC):
    """A place that decks go to: a file, or a running Anki.

    A class of this contract implements `_test_connection_impl` and `_sync_cards_impl`, and overrides
    `sync_templates`, `sync_media` and `list_existing` where its target has such a thing. One that needs the
    whole deck at once overrides `sync_deck`.
    """

    @abstractmethod
    def _test_connection_impl(self) -> bool:
        """Say whether the target can be reached."""

    @abstractmethod
    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        """Hand over notes: each a dict of field name to content, and `guid`, `tags`, `deck`, `note_type`."""

    def test_connection(self) -> bool:
        """Say whether the target can be reached; a failure is logged, not raised."""
        try:
            return self._test_connection_impl()
        except FAULTS as error:
            self.logger.warning("%s cannot be reached: %s", type(self).__name__, self._told(error))
            return False

    def check_connection(self) -> str:
        """Try whether the target can be reached.

        Returns:
            What was found, in one line.

        Raises:
            ProviderError: It cannot be reached.
        """
        if not self._test_connection_impl():
            raise ProviderError("it cannot be reached")
        return "can be reached"

    def sync_templates(self, note_type: str, templates: list[dict[str, Any]]) -> SyncResult:
        """Hand over the card templates of a note type: dicts of `name`, `front`, `back`."""
        return SyncResult(success=True, processed_count=0)

    def sync_media(self, files: Sequence[Path]) -> SyncResult:
        """Hand over media files, which notes refer to by their bare names."""
        return SyncResult(success=True, processed_count=0)

    def sync_cards(self, cards: list[dict[str, Any]]) -> SyncResult:
        """Hand over notes. Whatever goes wrong is in the result; nothing is raised."""
        try:
            return self._sync_cards_impl(cards)
        except FAULTS as error:
            return SyncResult(success=False, processed_count=0, error_message=self._told(error))

    def sync_single_card(self, card: dict[str, Any]) -> SyncResult:
        """Hand over one note."""
        return self.sync_cards([card])

    def list_existing(self, note_type: str) -> list[dict[str, Any]]:
        """Return the notes of this type that the target holds; by default none are known."""
        return []

    def destination(self, deck: str, output: Path | None = None) -> Path | None:
        """Return the file that a deck would be written to; by default there is none.

        Args:
            deck: The deck's name.
            output: The file that was asked for, if any.
        """
        return None

    def sync_deck(self, deck: Deck) -> SyncResult:
        """Hand over a whole deck: its templates, then its media, then its notes.

        Returns:
            The result of the step that failed, or else of the last.
        """
        templates = [attrs.asdict(template) for template in deck.note_type.templates]
        result = self.sync_templates(deck.note_type.name, templates)
        if result.success:
            result = self.sync_media(deck.media)
        if not result.success:
            return result
        return self.sync_cards(
            [
                {
                    **note.fields,
                    "guid": note.guid,
                    "tags": list(note.tags),
                    "deck": deck.name,
                    "note_type": deck.note_type.name,
                }
                for note in deck.notes
            ]
        )

    def _told(self, error: BaseException) -> str:
        text = str(error)
        if not isinstance(error, ProviderError):
            place = raised_at(error)
            text = f"{told(error)}{f', at {place}' if place else ''}"
        return redact(text, secret_values(self.config))


class WholeDeckProvider(SyncProvider, ABC):
    """A place that takes decks as a whole: what the single steps hand over is kept until the cards come.

    The templates stay, for cards of every later call. What becomes of the media is up to the class.
    """

    def _setup_from_config(self) -> None:
        super()._setup_from_config()
        self._templates: dict[str, list[CardTemplate]] = {}
        self._media: list[Path] = []

    def sync_templates(self, note_type: str, templates: list[dict[str, Any]]) -> SyncResult:
        """Keep the templates of a note type, dicts of `name`, `front`, `back`, for the cards to come."""
        self._templates[note_type] = [
            CardTemplate(part["name"], part["front"], part["back"]) for part in templates
        ]
        return SyncResult(success=True, processed_count=len(templates))

    def sync_media(self, files: Sequence[Path]) -> SyncResult:
        """Keep media files for the cards to come; they are read together with these."""
        self._media += files
        return SyncResult(success=True, processed_count=len(files))

    def _decks_of(self, cards: Iterable[Mapping[str, Any]], deck: str) -> list[Deck]:
        """Sort cards into decks, as `decks_of` does, by what is kept."""
        return decks_of(cards, self._templates, deck=deck, media=self._media)


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
