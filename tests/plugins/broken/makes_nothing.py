"""Broken at creation: it does not make what it describes."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "makes_nothing")]


@hookimpl
def register_media_provider(type, name, config):
    return None
