from __future__ import annotations

import array
import math
from collections.abc import Callable
from pathlib import Path

import attrs
import miniaudio
import pytest

from deckwright import MediaProvider, MediaResult

SILENCE = 330  # of 32,767


@attrs.frozen
class Heard:
    """An MP3 file as a listener gets it."""

    samples: array.array[int]
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def peak(self) -> int:
        return max(abs(sample) for sample in self.samples)

    @property
    def decibels(self) -> float:
        """The loudness of the louder half of the sound, against full scale."""
        length = self.rate // 50
        pieces = [self.samples[i : i + length] for i in range(0, len(self.samples) - length, length)]
        powers = sorted(sum(sample * sample for sample in piece) / length for piece in pieces)
        louder = powers[len(powers) // 2 :]
        return 10 * math.log10(sum(louder) / len(louder) / 32768**2)

    @property
    def silence(self) -> tuple[float, float]:
        """Seconds of silence before and after the sound."""
        loud = [index for index, sample in enumerate(self.samples) if abs(sample) >= SILENCE]
        return loud[0] / self.rate, (len(self.samples) - loud[-1]) / self.rate


Say = Callable[..., MediaResult]


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """Have a word spoken into a file."""

    def say(provider: MediaProvider, word: str, language: str, **params: str) -> MediaResult:
        return provider.generate_audio(word, tmp_path / "word.mp3", language=language, **params)

    return say


@pytest.fixture
def hear(say: Say) -> Callable[..., Heard]:
    """Have a word spoken, and listen to it."""

    def hear(provider: MediaProvider, word: str, language: str, **params: str) -> Heard:
        result = say(provider, word, language, **params)
        assert result.success, f"{word} ({language}): {result.error}"
        decoded = miniaudio.mp3_read_file_s16(str(result.file_path))
        assert decoded.nchannels == 1
        return Heard(decoded.samples, decoded.sample_rate)

    return hear
