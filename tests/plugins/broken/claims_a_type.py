"""Broken at describe: the type that it adds exists already."""

from deckwright import ProviderType, hookimpl


class Sound:
    pass


@hookimpl
def register_provider_types():
    return [ProviderType("audio", Sound)]
