"""The contract of sync providers, which receive decks."""

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
    """Data for a sync provider.

    Attributes:
        target: The part of the collection: `"templates"`, `"media"`, `"cards"`.
        data: The data.
        params: More about it.
    """

    target: str
    data: Any
    params: dict[str, Any] | None = None


@attrs.define
class SyncResult:
    """The result of a sync.

    Attributes:
        success: Whether all items arrived.
        processed_count: How many items arrived.
        metadata: More about it: `path` is the file that was written, `summary` what was done, in words.
        error_message: What went wrong, in words; empty if nothing did.
        created_ids: The ids of the new notes at the target, if it reports them.
    """

    success: bool
    processed_count: int
    metadata: dict[str, Any] = attrs.field(factory=dict)
    error_message: str = ""
    created_ids: list[int] | None = None


class SyncProvider(Provider, ABC):
    """A target of decks: a file, or a running Anki.

    A subclass implements `_test_connection_impl` and `_sync_cards_impl`, and overrides `sync_templates`, `sync_media`
    and `list_existing` if its target has such a thing. One that needs the whole deck at once overrides
    `_sync_deck_impl`.
    """

    @abstractmethod
    def _test_connection_impl(self) -> bool:
        """Return whether the target can be reached."""

    @abstractmethod
    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        """Add notes: dicts of field names to content, with `guid`, `tags`, `deck` and `note_type`."""

    def test_connection(self) -> bool:
        """Return whether the target can be reached; an error is logged, not raised."""
        try:
            return self._test_connection_impl()
        except CATCHABLE as error:
            self.logger.warning("%s cannot be reached: %s", type(self).__name__, self._describe(error))
            return False

    def check_connection(self) -> str:
        """Check whether the target can be reached, as every provider's `check_connection` does."""
        if not self._test_connection_impl():
            raise ProviderError("it cannot be reached")
        return "can be reached"

    def sync_templates(self, note_type: str, templates: list[dict[str, Any]]) -> SyncResult:
        """Add or update the card templates of a note type: dicts of `name`, `front`, `back`."""
        return SyncResult(success=True, processed_count=0)

    def sync_media(self, files: Sequence[Path]) -> SyncResult:
        """Add media files, which notes refer to by their names."""
        return SyncResult(success=True, processed_count=0)

    def sync_cards(self, cards: list[dict[str, Any]]) -> SyncResult:
        """Add notes. Errors are in the result; none is raised."""
        try:
            return self._sync_cards_impl(cards)
        except CATCHABLE as error:
            return self._failure(error)

    def sync_single_card(self, card: dict[str, Any]) -> SyncResult:
        """Add one note."""
        return self.sync_cards([card])

    def list_existing(self, note_type: str) -> list[dict[str, Any]]:
        """Return the notes of this type in the target; by default none are known."""
        return []

    def destination(self, deck: str, output: Path | None = None) -> Path | None:
        """Return the file that a deck would be written to; by default there is none.

        Args:
            deck: The deck's name.
            output: The file that the user chose, if any.
        """
        return None

    def sync_deck(self, deck: Deck) -> SyncResult:
        """Sync a whole deck. Errors are in the result; none is raised."""
        try:
            return self._sync_deck_impl(deck)
        except CATCHABLE as error:
            return self._failure(error)

    def _sync_deck_impl(self, deck: Deck) -> SyncResult:
        """Sync a whole deck, by default in steps: templates, media, notes. Return the result of the last step."""
        templates = [attrs.asdict(template) for template in deck.note_type.templates]
        result = self.sync_templates(deck.note_type.name, templates)
        if result.success:
            result = self.sync_media(deck.media)
        if not result.success:
            return result
        about = {"deck": deck.name, "note_type": deck.note_type.name}
        return self.sync_cards(
            [{**note.fields, "guid": note.guid, "tags": list(note.tags), **about} for note in deck.notes]
        )

    def _failure(self, error: BaseException) -> SyncResult:
        return SyncResult(success=False, processed_count=0, error_message=self._describe(error))

    def _describe(self, error: BaseException) -> str:
        text = str(error)
        if not isinstance(error, ProviderError):
            location = error_location(error)
            text = f"{format_error(error)}{f' (raised at {location})' if location else ''}"
        return redact(text, secret_values(self.config))


class WholeDeckProvider(SyncProvider, ABC):
    """A target that takes whole decks. Templates and media of the single steps are stored until the cards arrive.

    The templates stay, for the cards of later calls. A subclass decides what becomes of the media.
    """

    def _setup_from_config(self) -> None:
        super()._setup_from_config()
        self._templates: dict[str, list[CardTemplate]] = {}
        self._media: list[Path] = []

    def sync_templates(self, note_type: str, templates: list[dict[str, Any]]) -> SyncResult:
        """Store the templates of a note type, dicts of `name`, `front`, `back`, for the next cards."""
        self._templates[note_type] = [
            CardTemplate(part["name"], part["front"], part["back"]) for part in templates
        ]
        return SyncResult(success=True, processed_count=len(templates))

    def sync_media(self, files: Sequence[Path]) -> SyncResult:
        """Store media files for the next cards; they are read together with the cards."""
        self._media += files
        return SyncResult(success=True, processed_count=len(files))

    def _decks_of(self, cards: Iterable[Mapping[str, Any]], deck: str) -> list[Deck]:
        """Sort cards into decks, as `decks_of` does, with the stored templates and media."""
        return decks_of(cards, self._templates, deck=deck, media=self._media)
