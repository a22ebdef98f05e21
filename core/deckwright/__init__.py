"""Deckwright: words in, flashcards with sound and pictures out; every source and every target is a plugin.

The names of `__all__` are the public API; `__init__.pyi` is their face for type checkers. Each is imported
from its module on first use, so that `import deckwright` costs next to nothing. Beside them, plugin
authors may use:

- `deckwright.errors` (what to raise), `deckwright.tracebacks` (errors as text), `deckwright.secrets` (masking keys)
- `deckwright.config.settings` (the settings of a provider)
- `deckwright.providers.media` (cost estimates), `deckwright.providers.deck` and `deckwright.providers.sync` (decks,
  also from loose cards)
- `deckwright.toolkit.http` (services on the network), `deckwright.toolkit.images` (services that make pictures),
  `deckwright.toolkit.speech` (speech synthesisers), `deckwright.toolkit.media_format` (what is in a file),
  `deckwright.toolkit.files` (data kept in files), `deckwright.toolkit.languages` (names of languages) and
  `deckwright.toolkit.install_hints` (what to install)
- `deckwright.anki.package` (Anki packages)
- in their tests, `deckwright.testing` (contracts and fixtures) and `deckwright.testing.servers`
"""

from deckwright._version import __version__

_NAMES = {
    "deckwright.builder": "build_deck BuildReport Progress",
    "deckwright.config.loader": "Config",
    "deckwright.diagnostics": "Diagnostic ProviderFailure",
    "deckwright.errors": (
        "AuthenticationError BadMediaError BudgetError BuildError ConfigError ContentPolicyError DataError "
        "DeckwrightError DiagnosticsError InvalidRequestError MissingDependencyError NotFoundError "
        "PluginError ProviderConflictError ProviderError ProvidersFailedError QuotaError RateLimitedError "
        "ReadOnlyError RegistrationError SettingError TransientError UnknownProviderError"
    ),
    "deckwright.hooks": "ProviderInfo ProviderType Traits hookimpl",
    "deckwright.providers.data": "DataProvider",
    "deckwright.providers.engine": "Engine",
    "deckwright.providers.media": "MediaProvider MediaRequest MediaResult",
    "deckwright.providers.deck": "CardTemplate Deck Note NoteType",
    "deckwright.providers.sync": "SyncProvider SyncRequest SyncResult",
    "deckwright.default_registry": "MEDIA_PROVIDER_REGISTRY get_provider_registry",
    "deckwright.registry": "ProviderRegistry",
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
