"""What a plugin author tests with: contracts to derive tests from, fixtures for pytest, and local servers.

A contract is a class of tests that a plugin or provider passes which keeps its promises:

    import acme_bells
    from deckwright.testing import AudioProviderContract, PluginContract

    class TestPlugin(PluginContract):
        plugin = acme_bells

    class TestBell(AudioProviderContract):
        plugin = acme_bells
        name = "bell"
        words = (("hola", "es"),)

`ProviderContract` is what the contracts of all types share, for a type of one's own to derive from.

The fixtures are in `deckwright.testing.fixtures`, and pytest finds them by itself. The servers are in
`deckwright.testing.servers`, which works without pytest; the contracts need it, and are imported on first use.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deckwright.testing.contracts.data import DataProviderContract
    from deckwright.testing.contracts.media import AudioProviderContract, ImageProviderContract
    from deckwright.testing.contracts.plugin import PluginContract
    from deckwright.testing.contracts.provider import ProviderContract
    from deckwright.testing.contracts.sync import SyncProviderContract
else:
    _HOME = {
        "AudioProviderContract": "media",
        "DataProviderContract": "data",
        "ImageProviderContract": "media",
        "PluginContract": "plugin",
        "ProviderContract": "provider",
        "SyncProviderContract": "sync",
    }

    def __getattr__(name):
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"deckwright.testing.contracts.{_HOME[name]}"), name)


__all__ = [
    "AudioProviderContract",
    "DataProviderContract",
    "ImageProviderContract",
    "PluginContract",
    "ProviderContract",
    "SyncProviderContract",
]
