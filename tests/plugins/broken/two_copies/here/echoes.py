"""Broken at describe: there are two of it."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Echo(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        request.target.write_bytes(b"ID3 echo")
        return MediaResult(True, request.target)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "echo")]


@hookimpl
def register_media_provider(type, name, config):
    return Echo(config) if (type, name) == ("audio", "echo") else None
