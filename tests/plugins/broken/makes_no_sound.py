"""Broken at use: its file is an HTML page."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Page(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        request.target.write_text("<!doctype html><title>Ding</title>")
        return MediaResult(True, request.target)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "makes_no_sound")]


@hookimpl
def register_media_provider(type, name, config):
    return Page(config) if (type, name) == ("audio", "makes_no_sound") else None
