"""A bell for every word: a provider of sound."""

from __future__ import annotations

import array
import math
import wave

import attrs

from deckwright import MediaProvider, MediaRequest, MediaResult, ProviderInfo, hookimpl

RATE = 16_000


@attrs.define
class BellSettings:
    pitch: float = attrs.field(
        default=880.0, validator=attrs.validators.gt(0), metadata={"help": "how high it rings, in hertz"}
    )


class Bell(MediaProvider):
    config_class = BellSettings
    supported_types = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        path = request.target.with_suffix(".wav")
        turn = self.settings.pitch * math.tau / RATE
        samples = array.array("h", (int(9000 * math.sin(i * turn) * (1 - i / RATE)) for i in range(RATE)))
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
        return MediaResult(True, path)


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "bell", "Rings a bell for every word", BellSettings)]


@hookimpl
def register_media_provider(type, name, config):
    return Bell(config) if (type, name) == ("audio", "bell") else None
