"""What speech synthesisers share: the text is cleaned first; of the samples, silence is trimmed and an MP3 made.

A synthesiser derives from `SpeechProvider` and turns text into `Pcm`; nothing else is left to it.
"""

from __future__ import annotations

import array
import sys
import unicodedata
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import attrs

from deckwright.errors import InvalidRequestError, MissingDependencyError, NotFoundError
from deckwright.providers.media import MediaProvider, MediaRequest, MediaResult
from deckwright.toolkit.install_hints import OFFLINE_EXTRA

# MP3, mono, at this rate is the one format that every Anki plays; for one voice it cannot be told from more.
BIT_RATE = 48
# Of LAME's 0 (best) to 9: half the time of 2, and for one voice at this rate nothing that could be heard.
ENCODER_QUALITY = 5
# Samples quieter than this (of 32,767) at either end are silence; so much of it is left, in seconds.
SILENCE_LEVEL = 330
SILENCE_KEPT = 0.08


@attrs.frozen
class Pcm:
    """Uncompressed sound: mono, signed 16-bit little-endian samples, `rate` of them a second."""

    samples: bytes
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / 2 / self.rate


class SpeechProvider(MediaProvider):
    """A synthesiser: `_synthesize` gives samples, this class makes the file of them."""

    supported_types = ("audio",)

    @abstractmethod
    def _synthesize(self, text: str, language: str) -> Pcm:
        """Speak `text`.

        Args:
            text: What to say, as `clean_text` gives it; never empty.
            language: A BCP 47 tag in lower case with hyphens: `"es"`, `"pt-br"`.

        Raises:
            NotFoundError: There is no voice for the language, or it cannot speak this text.
            MissingDependencyError: The synthesiser's package is not installed.
        """

    def _spoken_text(self, request: MediaRequest, language: str) -> str:
        """Choose what to say: by default the content, as written."""
        return request.content

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        """Return what is said, in which language, and every setting: a new translation changes nothing."""
        language = _language_of(request)
        text = clean_text(self._spoken_text(request, language))
        return {"settings": self.output_settings, "text": text, "language": language}

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        target, language = request.target, _language_of(request)
        if not language:
            raise InvalidRequestError("A spoken word needs a language; this request has none.")
        text = clean_text(self._spoken_text(request, language))
        if not text:
            raise InvalidRequestError(f"There is nothing in {request.content!r} that can be spoken.")
        pcm = trim_silence(self._synthesize(text, language))
        target.write_bytes(encode_mp3(pcm))
        return MediaResult(True, target, {"seconds": round(pcm.seconds, 3)})


def _language_of(request: MediaRequest) -> str:
    return str(request.params.get("language") or "").strip().replace("_", "-").lower()


def clean_text(text: str) -> str:
    """Return `text` as one line of composed characters (NFC), without control characters and half surrogates.

    Synthesisers end at a NUL, stumble over accents that are characters of their own, and cannot take half a
    surrogate pair at all.
    """
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in composed).split())


def trim_silence(pcm: Pcm) -> Pcm:
    """Cut the silence at both ends down to a short breath.

    Raises:
        NotFoundError: There is nothing but silence, which is how synthesisers say that they cannot speak a text.
    """
    samples = array.array("h", pcm.samples)
    if sys.byteorder == "big":
        samples.byteswap()
    count = len(samples)
    start = next((i for i, sample in enumerate(samples) if abs(sample) >= SILENCE_LEVEL), None)
    if start is None:
        raise NotFoundError("The synthesiser has nothing but silence for this text.")
    end = count - next(i for i, sample in enumerate(reversed(samples)) if abs(sample) >= SILENCE_LEVEL)
    margin = int(SILENCE_KEPT * pcm.rate)
    start, end = max(0, start - margin), min(count, end + margin)
    return Pcm(pcm.samples[start * 2 : end * 2], pcm.rate)


def encode_mp3(pcm: Pcm) -> bytes:
    """Encode as MP3; the same samples always give the same bytes.

    Raises:
        MissingDependencyError: lameenc is not installed.
    """
    try:
        import lameenc
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"MP3 files need the package lameenc ({error}).", hint=f'pip install "{OFFLINE_EXTRA}"'
        ) from error
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_bit_rate(BIT_RATE)
    encoder.set_in_sample_rate(pcm.rate)
    encoder.set_channels(1)
    encoder.set_quality(ENCODER_QUALITY)
    return bytes(encoder.encode(pcm.samples)) + bytes(encoder.flush())
