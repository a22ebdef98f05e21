"""Broken at creation: what it makes is not a provider."""

from deckwright import ProviderInfo, hookimpl


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "makes_the_wrong_kind")]


@hookimpl
def register_media_provider(type, name, config):
    return {"bell": "ding"}
