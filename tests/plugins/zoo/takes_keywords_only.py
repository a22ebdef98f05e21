"""Broken at registration: its hook would never get its parameters."""

from deckwright import hookimpl


@hookimpl
def register_media_provider(*, type, name, config):
    return None
