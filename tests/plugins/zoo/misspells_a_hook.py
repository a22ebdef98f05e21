"""Broken at registration: its hook has the name of none."""

from deckwright import hookimpl


@hookimpl
def register_media_providers(type, name, config):
    return None
