"""Broken at use: its method is async, but is never awaited."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Awaited(MediaProvider):
    supported_types = ("audio",)

    async def _generate_media_impl(self, request):
        return MediaResult(True, request.target)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "is_async_at_use")]


@hookimpl
def register_media_provider(type, name, config):
    return Awaited(config) if (type, name) == ("audio", "is_async_at_use") else None
