"""Broken at close: it ends the program."""

from deckwright import MediaProvider, NotFoundError, ProviderInfo, hookimpl


class Exiting(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        raise NotFoundError("No bell for this word.")

    def close(self):
        raise SystemExit(9)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "exits_at_close")]


@hookimpl
def register_media_provider(type, name, config):
    return Exiting(config) if (type, name) == ("audio", "exits_at_close") else None
