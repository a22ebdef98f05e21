"""Broken at describe: it has no hook to make the provider that it describes."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "describes_but_cannot_make")]
