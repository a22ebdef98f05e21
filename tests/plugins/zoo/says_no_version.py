"""Broken at registration: nobody can tell which Deckwright it is for."""

from deckwright import hookimpl

requires_deckwright = "a recent one"


@hookimpl
def describe_media_providers():
    return []
