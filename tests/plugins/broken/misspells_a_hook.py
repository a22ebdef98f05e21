"""Broken at registration: the name of its hook is misspelt."""

from deckwright import hookimpl


@hookimpl
def register_media_providers(type, name, config):
    return None
