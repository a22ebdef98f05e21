"""Offline speech by SVOX Pico, a small synthesiser for English, German, Spanish, French and Italian."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal, get_args

import attrs
from msgspec import Meta

from deckwright import MediaProvider, MissingDependencyError, NotFoundError, ProviderInfo, hookimpl
from deckwright.toolkit.install_hints import OFFLINE_EXTRA, missing_dependency
from deckwright.toolkit.speech import Pcm, SpeechProvider

Voice = Literal["en-US", "en-GB", "de-DE", "es-ES", "fr-FR", "it-IT"]
RATE = 16_000  # samples per second; Pico has no other rate
# Bytes. With words of some 300 bytes Pico may hang, and it cannot be stopped. None of 3,500 random words up to this
# length made it hang.
MAX_WORD_LENGTH = 100


@attrs.frozen
class PicoSettings:
    """The settings of `pico`."""

    voice: Annotated[Voice | None, Meta(description="the voice for all languages, when set")] = None
    # As loud as espeak; the loudest vowels stay 3 dB below clipping.
    volume: Annotated[float, Meta(ge=0, le=5, description="loudness; from 0.7, vowels are clipped")] = 0.4
    speed: Annotated[float, Meta(ge=0.2, le=5, description="1 is Pico's own speed, 2 is twice as fast")] = 1.0
    pitch: Annotated[float, Meta(ge=0.5, le=2, description="1 is normal, 2 is an octave higher")] = 1.0


class Pico(SpeechProvider):
    """Speaks with SVOX Pico, in this process.

    Calls need no lock: py-nanotts starts from nothing for each one and holds the interpreter's lock. It does not clear
    its memory first, so samples may differ by a thousandth between calls, which nobody hears.
    """

    config_class = PicoSettings
    settings: PicoSettings

    def _synthesize(self, text: str, language: str) -> Pcm:
        voice = self.settings.voice or _voice_for(language)
        text = _without_markup(text)
        _require_speakable(text)
        speak = _load()
        try:
            samples = speak(
                text,
                voice=voice,
                speed=self.settings.speed,
                pitch=self.settings.pitch,
                volume=self.settings.volume,
            )
        except ValueError as error:  # the path of its files may have about 175 characters
            raise MissingDependencyError(
                f"Pico does not work where it is installed ({error}).",
                hint="Install Deckwright into a folder with a shorter path, or use the provider espeak.",
            ) from error
        except RuntimeError as error:  # many equal characters in a row
            raise NotFoundError(f"Pico cannot speak {text[:40]!r} ({error}).") from error
        return Pcm(samples, RATE)


def _voice_for(language: str) -> str:
    """Return the voice of exactly this tag, or the first one of its language."""
    voices: tuple[str, ...] = get_args(Voice)
    primary = language.partition("-")[0]
    exact = [voice for voice in voices if voice.lower() == language]
    if found := exact or [voice for voice in voices if voice.partition("-")[0] == primary]:
        return found[0]
    raise NotFoundError(
        f"Pico has no voice for the language {language!r}.", hint=f"It has the voices {', '.join(voices)}."
    )


def _require_speakable(text: str) -> None:
    """Refuse very long words, and letters that Pico skips: all that are not in the Windows code page 1252."""
    for word in text.split():
        if len(word.encode()) > MAX_WORD_LENGTH:
            raise NotFoundError(f"Pico cannot speak {text[:40]!r}: one word has {len(word)} letters.")
    for char in text:
        if char.isalpha() and not char.encode("cp1252", "ignore"):
            raise NotFoundError(f"Pico cannot speak {char!r}, a letter of {text[:40]!r}.")


def _without_markup(text: str) -> str:
    """Remove markup, which Pico obeys: `<genfile>` writes files."""
    return text.replace("<", " ").replace(">", " ")


def _load() -> Any:
    try:
        from py_nanotts import NanoTTS
    except (ImportError, OSError) as error:
        if sys.platform == "darwin":
            raise MissingDependencyError(
                f"Pico needs the package py-nanotts, which is not available for macOS ({error}).",
                hint="Use the provider espeak instead, which speaks the same languages and more.",
            ) from error
        raise missing_dependency("Pico needs the package py-nanotts", error, OFFLINE_EXTRA) from error
    return NanoTTS().speak


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `pico`."""
    summary = "Speaks English, German, Spanish, French and Italian, without a network or an account"
    return [ProviderInfo("audio", "pico", summary, PicoSettings, OFFLINE_EXTRA)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `pico`."""
    return Pico(config) if (type, name) == ("audio", "pico") else None
