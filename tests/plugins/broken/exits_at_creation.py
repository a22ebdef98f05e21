"""Broken at creation: its constructor ends the program."""

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Exiting(MediaProvider):
    supported_types = ("audio",)

    def _setup_from_config(self):
        raise SystemExit

    def _generate_media_impl(self, request):
        return MediaResult(False)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "exits_at_creation")]


@hookimpl
def register_media_provider(type, name, config):
    return Exiting(config) if (type, name) == ("audio", "exits_at_creation") else None
