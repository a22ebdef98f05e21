"""Broken at creation: asked for what is not its own, it raises."""

from deckwright import hookimpl


@hookimpl
def register_media_provider(type, name, config):
    return {"gong": None}[name]
