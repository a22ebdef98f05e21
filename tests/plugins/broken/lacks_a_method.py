"""Broken at creation: its class lacks a required method."""

from deckwright import MediaProvider, ProviderInfo, hookimpl


class Unfinished(MediaProvider):
    supported_types = ("audio",)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "lacks_a_method")]


@hookimpl
def register_media_provider(type, name, config):
    return Unfinished(config) if (type, name) == ("audio", "lacks_a_method") else None
