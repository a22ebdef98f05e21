"""Broken at creation: for a provider that is not its own, it raises an error that contains the key."""

from deckwright import hookimpl


@hookimpl
def register_media_provider(type, name, config):
    if "api_key" in config:
        raise LookupError(f"who would know {config}?")
