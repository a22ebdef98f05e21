"""Writes a deck as an Anki package: one `.apkg` file that Anki imports."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import attrs
from msgspec import Meta

from deckwright import Deck, ProviderError, ProviderInfo, SyncProvider, SyncResult, hookimpl
from deckwright.anki.package import require_genanki, write_package
from deckwright.providers.sync import WholeDeckProvider
from deckwright.toolkit.install_hints import OFFLINE_EXTRA


@attrs.define
class ApkgSettings:
    """The settings of `apkg`."""

    path: Annotated[Path | None, Meta(description="the file; named after the deck, when not set")] = None
    deck: Annotated[str, Meta(description="the deck for cards that name none")] = "Deckwright"


class Apkg(WholeDeckProvider):
    """Writes `.apkg` files with genanki.

    A file is written completely or not at all, and replaces an older one. `sync_deck` writes one deck. The single steps
    work too: every `sync_cards` writes the file again, with all templates, media and cards so far.
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
                f"{path} cannot be written: {error.strerror or error}.",
                hint="Choose another file with the setting `path`.",
            ) from None

    def _sync_deck_impl(self, deck: Deck) -> SyncResult:
        return _write(self.destination(deck.name, deck.output), [deck], deck.media)

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        all_cards = [*self._cards, *cards]
        decks = self._decks_of(all_cards, self.settings.deck)
        path = self.destination(decks[0].name if decks else self.settings.deck)
        result = _write(path, decks, self._media)
        self._cards = all_cards
        return attrs.evolve(result, processed_count=len(cards))

    def destination(self, deck: str, output: Path | None = None) -> Path:
        """Return the file: `output`, or the configured one, or one named after the deck."""
        path = output or self.settings.path
        if path is None:
            slug = re.sub(r"\W+", "-", deck).strip("-").lower()
            # 80 letters of three bytes stay below 255 bytes, the longest name of a file.
            return Path(f"{slug[:80] or 'deck'}.apkg")
        path = Path(path)
        if path.suffix.lower() == ".apkg" or path.is_dir():
            return path
        return path.with_name(f"{path.name}.apkg")  # Anki opens no other ending


def _write(path: Path, decks: list[Deck], media: Iterable[Path]) -> SyncResult:
    cards = write_package(path, decks, media)
    metadata = {"path": path, "cards": cards, "bytes": path.stat().st_size}
    return SyncResult(True, sum(len(deck.notes) for deck in decks), metadata)


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `apkg`."""
    summary = "Writes an Anki package, a file that Anki imports"
    return [ProviderInfo("sync", "apkg", summary, ApkgSettings, OFFLINE_EXTRA)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> SyncProvider | None:
    """Make `apkg`."""
    return Apkg(config) if (type, name) == ("sync", "apkg") else None
