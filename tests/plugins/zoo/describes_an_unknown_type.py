"""Broken at describe: nobody adds the type of what it offers."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("smell", "describes_an_unknown_type")]


@hookimpl
def register_media_provider(type, name, config):
    return None
