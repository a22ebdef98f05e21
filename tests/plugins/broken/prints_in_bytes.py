"""Broken at use: it prints to the underlying byte stream, and raises."""

import sys

from deckwright import MediaProvider, ProviderInfo, hookimpl

sys.stdout.buffer.write(b"broken: importing in bytes\n")
sys.stdout.writelines(["broken: importing ", "in lines\n"])


class Printing(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        sys.stdout.buffer.write(b"broken: ringing in bytes\n")
        sys.stdout.buffer.flush()
        sys.stdout.writelines(["broken: ringing ", "in lines\n"])
        raise ValueError("nobody hears it")


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "prints_in_bytes")]


@hookimpl
def register_media_provider(type, name, config):
    return Printing(config) if (type, name) == ("audio", "prints_in_bytes") else None
