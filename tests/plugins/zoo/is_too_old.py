"""Broken at registration: it is for a Deckwright of long ago."""

from deckwright import hookimpl

requires_deckwright = "<0.1"


@hookimpl
def describe_media_providers():
    return []
