"""Broken at registration: its version requirement is not valid."""

from deckwright import hookimpl

requires_deckwright = "a recent one"


@hookimpl
def describe_media_providers():
    return []
