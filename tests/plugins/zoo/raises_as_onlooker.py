"""Broken as an onlooker: it raises when it is told of a provider."""

from deckwright import hookimpl


@hookimpl
def provider_registered(provider):
    return 1 / 0
