"""A gong for every word: a module that Python finds on its path, and `[plugins] modules` names."""

from __future__ import annotations

from deckwright import MediaProvider, MediaRequest, MediaResult, hookimpl


class Gong(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        request.target.write_bytes(b"ID3 gong " + request.content.encode())
        return MediaResult(True, request.target)


@hookimpl
def register_media_provider(type, name, config):
    return Gong(config) if (type, name) == ("audio", "gong") else None
