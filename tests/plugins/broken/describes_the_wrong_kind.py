"""Broken at describe: it returns dicts."""

from deckwright import hookimpl


@hookimpl
def describe_media_providers():
    return [{"type": "audio", "name": "bell"}]
