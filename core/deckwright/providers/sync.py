"""The contract of providers that a deck goes to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import CATCHABLE, ProviderError
from deckwright.providers.base import Provider
from deckwright.providers.deck import CardTemplate, Deck, decks_of
from deckwright.secrets import redact, secret_values
from deckwright.tracebacks import error_location, format_error


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
        except CATCHABLE as error:
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
        except CATCHABLE as error:
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
            place = error_location(error)
            text = f"{format_error(error)}{f', at {place}' if place else ''}"
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
