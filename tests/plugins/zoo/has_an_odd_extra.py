"""Broken at describe: the packages that it needs are a number."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "has_an_odd_extra", extra=5)]


@hookimpl
def register_media_provider(type, name, config):
    return None
