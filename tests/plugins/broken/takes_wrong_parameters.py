"""Broken at registration: its hook has an unknown parameter."""

from deckwright import hookimpl


@hookimpl
def register_media_provider(type, name, settings):
    return None
