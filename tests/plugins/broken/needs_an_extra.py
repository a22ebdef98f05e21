"""Broken at creation: its settings need a package that does not exist."""

from deckwright import MediaProvider, MissingDependencyError, ProviderInfo, hookimpl


class Needy(MediaProvider):
    supported_types = ("audio",)

    def _setup_from_config(self):
        raise MissingDependencyError("The gongs need the package gongs.", hint='pip install "gongs>=1"')

    def _generate_media_impl(self, request):
        raise NotImplementedError


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "needs_an_extra", extra="gongs>=1")]


@hookimpl
def register_media_provider(type, name, config):
    return Needy(config) if (type, name) == ("audio", "needs_an_extra") else None
