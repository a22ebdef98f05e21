"""Broken: another distribution has an entry point of the same name, and offers the same provider."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Copy(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        request.target.write_bytes(b"ID3 copy")
        return MediaResult(True, request.target)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "broken_copy")]


@hookimpl
def register_media_provider(type, name, config):
    return Copy(config) if name == "broken_copy" else None
