"""Broken at use: it never returns."""

import threading

from deckwright import MediaProvider, ProviderInfo, hookimpl


class Waiting(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        threading.Event().wait()


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "hangs_at_use")]


@hookimpl
def register_media_provider(type, name, config):
    return Waiting(config) if (type, name) == ("audio", "hangs_at_use") else None
