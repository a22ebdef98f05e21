"""Broken at close: it never returns."""

import threading

from deckwright import MediaProvider, NotFoundError, ProviderInfo, hookimpl


class Waiting(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        raise NotFoundError("No bell for this word.")

    def close(self):
        threading.Event().wait()


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "hangs_at_close")]


@hookimpl
def register_media_provider(type, name, config):
    return Waiting(config) if (type, name) == ("audio", "hangs_at_close") else None
