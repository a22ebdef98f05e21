"""Broken at registration: it requires an older Deckwright."""

from deckwright import hookimpl

requires_deckwright = "<0.1"


@hookimpl
def describe_media_providers():
    return []
