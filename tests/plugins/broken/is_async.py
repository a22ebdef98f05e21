"""Broken at registration: its hook is async."""

from deckwright import hookimpl


@hookimpl
async def register_media_provider(type, name, config):
    return None
