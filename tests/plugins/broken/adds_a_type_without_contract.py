"""Broken at describe: the contract of its type is not a class."""

from deckwright import ProviderType, hookimpl


@hookimpl
def register_provider_types():
    return [ProviderType("smell", "anything that smells")]
