"""Deckwright: words in, flashcards with sound and pictures out; every source and every target is a plugin.

The names of `__all__` are the public API; `__init__.pyi` is their face for type checkers. Each is imported
from its module on first use, so that `import deckwright` costs next to nothing. Beside them, plugin authors
may use `deckwright.errors` (what to raise, and telling errors), `deckwright.settings` (settings of a provider),
`deckwright.http` (services on the network),
`deckwright.painting` (services that paint), `deckwright.speech` (speech synthesisers), `deckwright.media_files`
(what is in a file), `deckwright.packages` (Anki packages), `deckwright.providers.sync` (decks from loose cards),
`deckwright.providers.files` (data kept in files), `deckwright.languages` (names of languages),
`deckwright.secrets` (masking keys), `deckwright.extras` (what to install) and, in their tests,
`deckwright.testing` (contracts and fixtures) and `deckwright.testing.servers`.
"""

from deckwright._version import __version__

_NAMES = {
    "deckwright.build": "build_deck BuildReport Progress",
    "deckwright.config": "Config",
    "deckwright.errors": (
        "AuthenticationError BadMediaError BudgetError BuildError ConfigError ContentPolicyError DataError "
        "DeckwrightError InvalidRequestError MissingDependencyError NotFoundError PluginError ProviderConflictError "
        "ProviderError ProvidersFailedError QuotaError RateLimitedError ReadOnlyError RegistrationError "
        "SettingError TransientError UnknownProviderError"
    ),
    "deckwright.hooks": "ProviderInfo ProviderType Traits hookimpl",
    "deckwright.providers.data": "DataProvider",
    "deckwright.providers.engine": "Engine",
    "deckwright.providers.media": "MediaProvider MediaRequest MediaResult",
    "deckwright.providers.sync": "CardTemplate Deck Note NoteType SyncProvider SyncRequest SyncResult",
    "deckwright.registry": ("MEDIA_PROVIDER_REGISTRY ProviderFailure ProviderRegistry get_provider_registry"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *_HOME]


def __getattr__(name):  # type: ignore[no-untyped-def]
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__():  # type: ignore[no-untyped-def]
    return sorted({*globals(), *_HOME})
