"""Offline speech by espeak-ng, a robotic voice for more than a hundred languages."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Any

import attrs
from msgspec import Meta

from deckwright import MediaProvider, MediaRequest, ProviderInfo, errors, hookimpl
from deckwright.toolkit.install_hints import OFFLINE_EXTRA, missing_dependency
from deckwright.toolkit.speech import Pcm, SpeechProvider
from deckwright_builtins.espeak.process import Worker, WorkerDiedError, WorkerTimeoutError

# espeak-ng cuts off the path of its data after 159 bytes.
MAX_DATA_PATH = 150
# espeak-ng would choose British English for "en", and Mandarin for Hong Kong, which learners do not expect.
PREFERRED = {"en": "en-us", "zh-hk": "yue"}
CHINESE_CHARACTER = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
READS_CHINESE_CHARACTERS = ("zh", "cmn", "yue")


@attrs.frozen
class EspeakSettings:
    """The settings of `espeak`."""

    voice: Annotated[str | None, Meta(description='the voice for all languages, such as "es+f3"')] = None
    speed: Annotated[int, Meta(ge=80, le=450, description="words a minute")] = 150
    pitch: Annotated[int, Meta(ge=0, le=99, description="from 0 (low) to 99 (high)")] = 50
    # As loud as pico; a little more, and the loudest vowels are clipped.
    volume: Annotated[int, Meta(ge=0, le=200, description="loudness; above 100, vowels are clipped")] = 90
    timeout: Annotated[float, Meta(gt=0, description="seconds that one word may take")] = attrs.field(
        default=20.0, metadata={"changes_output": False}
    )


class Espeak(SpeechProvider):
    """Speaks with espeak-ng, in a process of its own.

    The library may crash, is not thread-safe, and has another licence (GPL-3), so it is kept apart. The process starts
    with the first word, and speaks one word at a time.
    """

    config_class = EspeakSettings
    settings: EspeakSettings

    def _setup_from_config(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._shortcut: tempfile.TemporaryDirectory[str] | None = None

    def _spoken_text(self, request: MediaRequest, language: str) -> str:
        reading = str(request.params.get("reading") or "").strip()
        return reading if reading and _primary(language) == "ja" else request.content

    def _synthesize(self, text: str, language: str) -> Pcm:
        _require_readable(text, language)
        with self._lock:
            try:
                return self._speak(text, language)
            except WorkerDiedError:
                self.logger.info("espeak-ng crashed and is started again.")
            except WorkerTimeoutError as error:
                raise errors.TransientError(
                    f"espeak-ng took more than {self.settings.timeout:g} seconds for {text[:40]!r}."
                ) from error
            try:
                return self._speak(text, language)
            except (WorkerDiedError, WorkerTimeoutError) as error:
                raise errors.ProviderError(f"espeak-ng crashes at {text[:40]!r} ({error}).") from error

    def close(self) -> None:
        """End the process; the next word starts it again."""
        with self._lock:
            self._stop()
            if self._shortcut is not None:
                self._shortcut.cleanup()
                self._shortcut = None

    def _speak(self, text: str, language: str) -> Pcm:
        try:
            if self._worker is None:
                self._worker = self._start()
            answer, samples = self._worker.request(
                {
                    "text": text,
                    "voice": self._voice_for(language, self._worker.voices),
                    "speed": self.settings.speed,
                    "pitch": self.settings.pitch,
                    "volume": self.settings.volume,
                }
            )
        except errors.ProviderError:
            raise
        except BaseException:  # an interrupt may leave half an answer in the pipe, too
            self._stop()
            raise
        if "error" in answer:
            raise errors.NotFoundError(f"espeak-ng cannot speak {text[:40]!r}: {answer['error']}.")
        return Pcm(samples, answer["rate"])

    def _voice_for(self, language: str, voices: dict[str, str]) -> str:
        """Return espeak-ng's name of the configured voice, or of the best voice for the language."""
        if self.settings.voice:
            name, plus, variant = self.settings.voice.partition("+")
            return voices.get(name.lower(), name) + plus + variant
        tag = language
        while tag:
            voice = voices.get(PREFERRED.get(tag, tag))
            if voice:
                return voice
            tag = tag.rpartition("-")[0]
        raise errors.NotFoundError(f"espeak-ng has no voice for the language {language!r}.")

    def _start(self) -> Worker:
        try:
            import espeakng_loader

            library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
            return Worker(library, self._short_path(data), self.settings.timeout)
        except (ImportError, OSError, RuntimeError, WorkerDiedError) as error:
            problem = "espeak-ng, from the package espeakng-loader, cannot be used"
            raise missing_dependency(problem, error, OFFLINE_EXTRA) from error

    def _short_path(self, data: str) -> str:
        """Return a path to `data` that is short enough for espeak-ng."""
        if len(os.fsencode(data)) <= MAX_DATA_PATH:
            return data
        if self._shortcut is None:
            self._shortcut = tempfile.TemporaryDirectory(prefix="espeak-")
            link = Path(self._shortcut.name, "data")
            try:
                link.symlink_to(data, target_is_directory=True)
            except OSError:  # on Windows, most users may not make links
                shutil.copytree(data, link)
        return str(Path(self._shortcut.name, "data"))

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def _primary(language: str) -> str:
    return language.partition("-")[0]


def _require_readable(text: str, language: str) -> None:
    """Refuse Chinese characters in other languages: espeak-ng says "Chinese letter" for each of them."""
    if CHINESE_CHARACTER.search(text) and _primary(language) not in READS_CHINESE_CHARACTERS:
        raise errors.NotFoundError(
            f"espeak-ng cannot read the Chinese characters in {text[:40]!r} in the language {language!r}.",
            hint="Add a column `reading` with the word in kana." if _primary(language) == "ja" else None,
        )


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `espeak`."""
    summary = "Speaks more than a hundred languages with a robotic voice; works offline, without an account"
    return [ProviderInfo("audio", "espeak", summary, EspeakSettings, OFFLINE_EXTRA)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> MediaProvider | None:
    """Make `espeak`."""
    return Espeak(config) if (type, name) == ("audio", "espeak") else None
