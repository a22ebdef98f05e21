"""Broken at describe: it returns None instead of a list."""

from deckwright import hookimpl


@hookimpl
def describe_media_providers():
    pass
