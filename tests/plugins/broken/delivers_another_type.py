"""Broken at creation: it delivers images, but is described as audio."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Picture(MediaProvider):
    supported_types = ("image",)

    def _generate_media_impl(self, request):
        return MediaResult(False)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "delivers_another_type")]


@hookimpl
def register_media_provider(type, name, config):
    return Picture(config) if (type, name) == ("audio", "delivers_another_type") else None
