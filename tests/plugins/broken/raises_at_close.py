"""Broken at close: it prints, and raises."""

from deckwright import MediaProvider, NotFoundError, ProviderInfo, hookimpl


class Raising(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        raise NotFoundError("No bell for this word.")

    def close(self):
        print("broken: closing")
        raise ConnectionError("it was closed from the other side")


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "raises_at_close")]


@hookimpl
def register_media_provider(type, name, config):
    return Raising(config) if (type, name) == ("audio", "raises_at_close") else None
