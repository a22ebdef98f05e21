"""Another `forvo`: recordings that were fetched before, one file a word, and no service to ask."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs

from deckwright import MediaProvider, MediaRequest, MediaResult, NotFoundError, ProviderInfo, hookimpl


@attrs.define
class RecordingsSettings:
    folder: Path = attrs.field(metadata={"help": "where the recordings are, as WORD.mp3"})


class Recordings(MediaProvider):
    config_class = RecordingsSettings
    supported_types = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        recording = self.settings.folder / f"{request.content}.mp3"
        if not recording.is_file():
            raise NotFoundError(f"There is no recording of {request.content!r}.")
        return MediaResult(True, Path(shutil.copyfile(recording, request.target)))


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "forvo", "Recordings from a folder", RecordingsSettings)]


@hookimpl
def register_media_provider(type, name, config):
    return Recordings(config) if (type, name) == ("audio", "forvo") else None
