"""Broken at registration: its hook has keyword-only parameters."""

from deckwright import hookimpl


@hookimpl
def register_media_provider(*, type, name, config):
    return None
