"""Broken at describe: where its traits should be there is nothing."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "has_no_traits", traits=None)]


@hookimpl
def register_media_provider(type, name, config):
    return None
