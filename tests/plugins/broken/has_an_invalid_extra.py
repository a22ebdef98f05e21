"""Broken at describe: its extra is a number."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "has_an_invalid_extra", extra=5)]


@hookimpl
def register_media_provider(type, name, config):
    return None
