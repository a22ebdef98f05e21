"""Broken at registration: its hook takes what nobody gives."""

from deckwright import hookimpl


@hookimpl
def register_media_provider(type, name, settings):
    return None
