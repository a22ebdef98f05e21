"""Broken at use: it raises CancelledError, which is not an Exception."""

import asyncio

from deckwright import MediaProvider, ProviderInfo, hookimpl


class Cancelled(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        raise asyncio.CancelledError("the loop is closed")


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "cancels_at_use")]


@hookimpl
def register_media_provider(type, name, config):
    return Cancelled(config) if (type, name) == ("audio", "cancels_at_use") else None
