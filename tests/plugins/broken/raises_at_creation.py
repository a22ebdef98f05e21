"""Broken at creation: its constructor raises."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Raising(MediaProvider):
    supported_types = ("audio",)

    def _setup_from_config(self):
        print("broken: creating")
        raise OSError("the device is busy")

    def _generate_media_impl(self, request):
        return MediaResult(False)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "raises_at_creation")]


@hookimpl
def register_media_provider(type, name, config):
    return Raising(config) if (type, name) == ("audio", "raises_at_creation") else None
