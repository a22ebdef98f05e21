"""Broken at describe: it returns tables of its own."""

from deckwright import hookimpl


@hookimpl
def describe_media_providers():
    return [{"type": "audio", "name": "bell"}]
