"""Broken at describe: its traits are None."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "has_no_traits", traits=None)]


@hookimpl
def register_media_provider(type, name, config):
    return None
