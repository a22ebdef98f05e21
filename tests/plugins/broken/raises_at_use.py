"""Broken at use: it prints, and raises an error that is not a ProviderError."""

from deckwright import MediaProvider, ProviderInfo, hookimpl


class Raising(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        print("broken: ringing")
        return [][0]


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "raises_at_use")]


@hookimpl
def register_media_provider(type, name, config):
    return Raising(config) if (type, name) == ("audio", "raises_at_use") else None
