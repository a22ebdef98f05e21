"""Broken at use: it ends the program."""

import sys

from deckwright import MediaProvider, ProviderInfo, hookimpl


class Exiting(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        sys.exit("out of bells")


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "exits_at_use")]


@hookimpl
def register_media_provider(type, name, config):
    return Exiting(config) if (type, name) == ("audio", "exits_at_use") else None
