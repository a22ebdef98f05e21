"""Broken at describe: it returns nothing, where a list should be."""

from deckwright import hookimpl


@hookimpl
def describe_media_providers():
    pass
