"""Broken at creation: its constructor never returns."""

import threading

from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl


class Waiting(MediaProvider):
    supported_types = ("audio",)

    def _setup_from_config(self):
        threading.Event().wait()

    def _generate_media_impl(self, request):
        return MediaResult(False)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "hangs_at_creation")]


@hookimpl
def register_media_provider(type, name, config):
    return Waiting(config) if (type, name) == ("audio", "hangs_at_creation") else None
