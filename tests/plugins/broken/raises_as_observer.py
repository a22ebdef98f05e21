"""Broken as an observer: it raises when a provider is registered."""

from deckwright import hookimpl


@hookimpl
def provider_registered(provider):
    return 1 / 0
