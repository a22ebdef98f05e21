"""Broken at creation: its class lacks the method that the contract asks for."""

from deckwright import MediaProvider, ProviderInfo, hookimpl


class Unfinished(MediaProvider):
    supported_types = ("audio",)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "forgets_a_method")]


@hookimpl
def register_media_provider(type, name, config):
    return Unfinished(config) if (type, name) == ("audio", "forgets_a_method") else None
