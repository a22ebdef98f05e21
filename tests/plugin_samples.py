"""Plugins that several tests load, and ways to look at what became of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl
from deckwright.plugins import PluginRecord, Plugins, PluginSettings

# Writes a file into the working directory, by default one with `BELL` in it.
Write = Callable[..., Path]

BELL = """
from deckwright import MediaProvider, MediaResult, hookimpl

class Bell(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        request.output_path.write_bytes(b"ID3 ding")
        return MediaResult(success=True, file_path=request.output_path)

@hookimpl
def register_media_provider(type, name, config):
    if (type, name) == ("audio", "bell"):
        return Bell(config)
"""
DESCRIBED_BELL = (
    BELL
    + """
from deckwright import ProviderInfo

@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "bell", "Rings")]
"""
)


class Tone(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        request.output_path.write_bytes(b"ID3 tone")
        return MediaResult(True, request.output_path)


class Sounds:
    """A plugin object that makes some provider of sound, and describes it unless told not to."""

    def __init__(self, plugin: str, *, name: str = "bell", described: bool = True) -> None:
        self.__name__ = plugin
        self._name = name
        self._described = described

    @hookimpl
    def describe_media_providers(self):
        return [ProviderInfo("audio", self._name)] if self._described else []

    @hookimpl
    def register_media_provider(self, type, name, config):
        return Tone({"by": self.__name__}) if (type, name) == ("audio", self._name) else None


def load(*objects: object, **settings: Any) -> Plugins:
    return Plugins(PluginSettings(**settings), objects=objects)


def found(plugins: Plugins, name: str) -> PluginRecord:
    """Return the one record of this name."""
    [record] = [record for record in plugins.records if record.name == name]
    return record


def rings(plugins: Plugins) -> bool:
    return type(plugins.make("audio", "bell", {})).__name__ in ("Bell", "Tone")
