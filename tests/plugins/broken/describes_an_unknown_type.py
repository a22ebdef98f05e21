"""Broken at describe: no plugin adds the type of its provider."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("smell", "describes_an_unknown_type")]


@hookimpl
def register_media_provider(type, name, config):
    return None
