"""Deckwright: words in, flashcards with sound and pictures out; every source and every target is a plugin.

The names here are the public API. Each is imported from its module on first use, so that `import deckwright`
costs next to nothing. Beside them, plugin authors may use the modules `deckwright.settings` (settings of a
provider) and `deckwright.speech` (speech synthesisers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deckwright._version import __version__

if TYPE_CHECKING:
    from deckwright.build import build_deck
    from deckwright.config import Config
    from deckwright.errors import (
        AuthenticationError,
        BadMediaError,
        BuildError,
        ConfigError,
        ContentPolicyError,
        DataError,
        DeckwrightError,
        InvalidRequestError,
        MissingDependencyError,
        NotFoundError,
        PluginError,
        ProviderConflictError,
        ProviderError,
        ProvidersFailedError,
        QuotaError,
        RateLimitedError,
        ReadOnlyError,
        RegistrationError,
        SettingError,
        TransientError,
        UnknownProviderError,
    )
    from deckwright.hooks import ProviderInfo, ProviderType, Traits, hookimpl
    from deckwright.providers.data import DataProvider
    from deckwright.providers.media import MediaProvider, MediaRequest, MediaResult
    from deckwright.providers.sync import (
        CardTemplate,
        Deck,
        Note,
        NoteType,
        SyncProvider,
        SyncRequest,
        SyncResult,
    )
    from deckwright.registry import (
        MEDIA_PROVIDER_REGISTRY,
        ProviderFailure,
        ProviderRegistry,
        get_provider_registry,
    )

_HOMES = {
    "deckwright.build": ("build_deck",),
    "deckwright.config": ("Config",),
    "deckwright.errors": (
        "AuthenticationError",
        "BadMediaError",
        "BuildError",
        "ConfigError",
        "ContentPolicyError",
        "DataError",
        "DeckwrightError",
        "InvalidRequestError",
        "MissingDependencyError",
        "NotFoundError",
        "PluginError",
        "ProviderConflictError",
        "ProviderError",
        "ProvidersFailedError",
        "QuotaError",
        "RateLimitedError",
        "ReadOnlyError",
        "RegistrationError",
        "SettingError",
        "TransientError",
        "UnknownProviderError",
    ),
    "deckwright.hooks": ("ProviderInfo", "ProviderType", "Traits", "hookimpl"),
    "deckwright.providers.data": ("DataProvider",),
    "deckwright.providers.media": ("MediaProvider", "MediaRequest", "MediaResult"),
    "deckwright.providers.sync": (
        "CardTemplate",
        "Deck",
        "Note",
        "NoteType",
        "SyncProvider",
        "SyncRequest",
        "SyncResult",
    ),
    "deckwright.registry": (
        "MEDIA_PROVIDER_REGISTRY",
        "ProviderFailure",
        "ProviderRegistry",
        "get_provider_registry",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
