"""Broken at use: it returns a path instead of a result."""

from deckwright import MediaProvider, ProviderInfo, hookimpl


class Terse(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        request.target.write_bytes(b"ID3 ding")
        return request.target


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "returns_the_wrong_kind")]


@hookimpl
def register_media_provider(type, name, config):
    return Terse(config) if (type, name) == ("audio", "returns_the_wrong_kind") else None
