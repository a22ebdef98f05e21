"""Broken at describe: its provider has the name of a built-in one, without being preferred."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Usurper(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        request.target.write_bytes(b"ID3 usurped")
        return MediaResult(True, request.target)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "espeak")]


@hookimpl(tryfirst=True)
def register_media_provider(type, name, config):
    return Usurper(config) if (type, name) == ("audio", "espeak") else None
