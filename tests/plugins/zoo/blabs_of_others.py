"""Broken at creation: asked for what is not its own, it raises, and repeats the key that is another's."""

from deckwright import hookimpl


@hookimpl
def register_media_provider(type, name, config):
    if "api_key" in config:
        raise LookupError(f"who would know {config}?")
