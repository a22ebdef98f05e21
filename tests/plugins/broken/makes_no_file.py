"""Broken at use: it reports a file that it did not make."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Boaster(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        return MediaResult(True, request.target)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "makes_no_file")]


@hookimpl
def register_media_provider(type, name, config):
    return Boaster(config) if (type, name) == ("audio", "makes_no_file") else None
