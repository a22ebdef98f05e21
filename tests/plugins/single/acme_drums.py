"""A drum beside every word: a single file that `[plugins] paths` names."""

from __future__ import annotations

from deckwright import MediaProvider, MediaRequest, MediaResult, hookimpl

DRUM = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle cx="5" cy="5" r="4"/></svg>'


class Drum(MediaProvider):
    supported_types = ("image",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        path = request.target.with_suffix(".svg")
        path.write_text(DRUM, encoding="utf-8")
        return MediaResult(True, path)


@hookimpl
def register_media_provider(type, name, config):
    return Drum(config) if (type, name) == ("image", "drum") else None
