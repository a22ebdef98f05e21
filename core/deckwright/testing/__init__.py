"""Tools for testing plugins: contracts to derive tests from, fixtures for pytest, and local servers.

A contract is a class of tests that every correct plugin or provider passes:

    import acme_bells
    from deckwright.testing import AudioProviderContract, PluginContract

    class TestPlugin(PluginContract):
        plugin = acme_bells

    class TestBell(AudioProviderContract):
        plugin = acme_bells
        name = "bell"
        words = (("hola", "es"),)

`ProviderContract` is the base class of the contracts of all types. Derive the contract of your own type from it.

The fixtures are in `deckwright.testing.fixtures`, and pytest finds them automatically. The servers are in
`deckwright.testing.servers`, which works without pytest. The contracts need pytest, and are imported on first use.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deckwright.testing.contracts.data import DataProviderContract
    from deckwright.testing.contracts.media import AudioProviderContract, ImageProviderContract
    from deckwright.testing.contracts.plugin import PluginContract
    from deckwright.testing.contracts.provider import ProviderContract
    from deckwright.testing.contracts.sync import SyncProviderContract
else:
    _MODULES = {
        "AudioProviderContract": "media",
        "DataProviderContract": "data",
        "ImageProviderContract": "media",
        "PluginContract": "plugin",
        "ProviderContract": "provider",
        "SyncProviderContract": "sync",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"deckwright.testing.contracts.{_MODULES[name]}"), name)


__all__ = [
    "AudioProviderContract",
    "DataProviderContract",
    "ImageProviderContract",
    "PluginContract",
    "ProviderContract",
    "SyncProviderContract",
]
