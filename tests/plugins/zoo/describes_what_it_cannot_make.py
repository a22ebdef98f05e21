"""Broken at describe: there is no hook to make what it offers."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "describes_what_it_cannot_make")]
