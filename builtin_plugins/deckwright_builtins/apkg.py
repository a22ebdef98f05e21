"""Writes a deck as an Anki package: one `.apkg` file, ready to import."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import attrs
from msgspec import Meta

from deckwright import (
    Deck,
    ProviderError,
    ProviderInfo,
    SyncProvider,
    SyncResult,
    hookimpl,
)
from deckwright.anki.package import require_genanki, write_package
from deckwright.providers.sync import WholeDeckProvider
from deckwright.toolkit.install_hints import OFFLINE_EXTRA


@attrs.define
class ApkgSettings:
    """The settings of `apkg`."""

    path: Annotated[
        Path | None, Meta(description="the file to write; named after the deck, when not set")
    ] = None
    deck: Annotated[str, Meta(description="the deck for cards that name none")] = "Deckwright"


class Apkg(WholeDeckProvider):
    """Writes `.apkg` files with genanki.

    A file is written as a whole or not at all, and then takes the place of an older one. `sync_deck` writes one
    deck. The single steps work too: templates, media and cards are kept, and every `sync_cards` writes the file
    anew with all that came so far.
    """

    config_class = ApkgSettings

    def _setup_from_config(self) -> None:
        super()._setup_from_config()
        self._cards: list[dict[str, Any]] = []

    def _test_connection_impl(self) -> bool:
        require_genanki()
        path = self.destination(self.settings.deck)
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                return True
        except OSError as error:
            raise ProviderError(
                f"{path} cannot be written: {error.strerror or error}.", hint="Name another file, by `path`."
            ) from None

    def sync_deck(self, deck: Deck) -> SyncResult:
        """Write the deck to its `output`, else to the configured path, else to a file named after it.

        Returns:
            The number of notes, and in `metadata` the `path`, its size in `bytes`, and the number of `cards`.
            Whatever goes wrong is in the result; nothing is raised, and a file that was there stays.
        """
        try:
            return _write(self.destination(deck.name, deck.output), [deck], deck.media)
        except Exception as error:  # noqa: BLE001 - a result in any case is the contract of this method
            return SyncResult(success=False, processed_count=0, error_message=self._told(error))

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        kept = [*self._cards, *cards]
        decks = self._decks_of(kept, self.settings.deck)
        path = self.destination(decks[0].name if decks else self.settings.deck)
        result = _write(path, decks, self._media)
        self._cards = kept
        return attrs.evolve(result, processed_count=len(cards))

    def destination(self, deck: str, output: Path | None = None) -> Path:
        """Return the file: the one asked for, else the configured one, else one named after the deck."""
        path = output or self.settings.path
        if path is None:
            slug = re.sub(r"\W+", "-", deck).strip("-").lower()
            # Three bytes for each of 80 letters stay within the 255 that a file's name may have.
            return Path(f"{slug[:80] or 'deck'}.apkg")
        path = Path(path)
        if path.suffix.lower() == ".apkg" or path.is_dir():
            return path
        return path.with_name(f"{path.name}.apkg")  # Anki opens no other


def _write(path: Path, decks: list[Deck], media: Iterable[Path]) -> SyncResult:
    cards = write_package(path, decks, media)
    metadata = {"path": path, "cards": cards, "bytes": path.stat().st_size}
    return SyncResult(True, sum(len(deck.notes) for deck in decks), metadata)


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `apkg`."""
    return [
        ProviderInfo(
            "sync",
            "apkg",
            "Writes an Anki package, a file that Anki imports",
            config_class=ApkgSettings,
            extra=OFFLINE_EXTRA,
        )
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> SyncProvider | None:
    """Make `apkg`."""
    return Apkg(config) if (type, name) == ("sync", "apkg") else None
