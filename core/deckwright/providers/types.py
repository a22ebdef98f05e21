"""The types of provider that come with Deckwright, added by the same hook as those of plugins."""

from __future__ import annotations

from deckwright.hooks import ProviderType, hookimpl
from deckwright.providers.data import DataProvider
from deckwright.providers.engine import Engine
from deckwright.providers.media import MediaProvider
from deckwright.providers.sync import SyncProvider


@hookimpl
def register_provider_types() -> list[ProviderType]:
    """Add the types of sources and targets, and the engine that runs them."""
    return [
        ProviderType("data", DataProvider, "where words come from"),
        ProviderType("audio", MediaProvider, "where sound comes from"),
        ProviderType("image", MediaProvider, "where pictures come from"),
        ProviderType("sync", SyncProvider, "where decks go to"),
        ProviderType("engine", Engine, "where providers do their work"),
    ]
