"""The base class of speech synthesisers: cleans the text, trims silence from the samples, and writes an MP3.

A synthesiser derives from `SpeechProvider` and turns text into `Pcm`; it needs nothing else.
"""

from __future__ import annotations

import array
import sys
import unicodedata
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import attrs

from deckwright.errors import InvalidRequestError, NotFoundError
from deckwright.providers.media import MediaProvider, MediaRequest, MediaResult
from deckwright.toolkit.install_hints import OFFLINE_EXTRA, missing_dependency

# Every Anki plays mono MP3. For one voice, nobody hears a higher rate than this one.
BIT_RATE = 48
# From LAME's 0 (best) to 9: twice as fast as 2, without an audible difference for one voice.
ENCODER_QUALITY = 5
# Samples below this level (of 32,767) at both ends are silence, of which so many seconds are kept.
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
    """A synthesiser: `_synthesize` returns samples, and this class makes a file from them."""

    supported_types = ("audio",)

    @abstractmethod
    def _synthesize(self, text: str, language: str) -> Pcm:
        """Speak `text`.

        Args:
            text: The text, as returned by `clean_text`; never empty.
            language: A BCP 47 tag in lower case with hyphens: `"es"`, `"pt-br"`.

        Raises:
            NotFoundError: There is no voice for the language, or the text cannot be spoken.
            MissingDependencyError: The synthesiser's package is not installed.
        """

    def _spoken_text(self, request: MediaRequest, language: str) -> str:
        """Return the text to speak: by default the content, as written."""
        return request.content

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        """Return the spoken text, its language, and every setting; the translation is not part of it."""
        language = _language_of(request)
        text = clean_text(self._spoken_text(request, language))
        return {"settings": self.output_settings, "text": text, "language": language}

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        target, language = request.target, _language_of(request)
        if not language:
            raise InvalidRequestError("The request has no language, which a spoken word needs.")
        text = clean_text(self._spoken_text(request, language))
        if not text:
            raise InvalidRequestError(f"Nothing in {request.content!r} can be spoken.")
        pcm = trim_silence(self._synthesize(text, language))
        target.write_bytes(encode_mp3(pcm))
        return MediaResult(True, target, {"seconds": round(pcm.seconds, 3)})


def _language_of(request: MediaRequest) -> str:
    return str(request.params.get("language") or "").strip().replace("_", "-").lower()


def clean_text(text: str) -> str:
    """Return `text` as one line of composed characters (NFC), without control characters and lone surrogates.

    Synthesisers stop at a NUL, cannot handle accents that are separate characters, and reject lone surrogates.
    """
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in composed).split())


def trim_silence(pcm: Pcm) -> Pcm:
    """Shorten the silence at both ends.

    Raises:
        NotFoundError: There is only silence: synthesisers return it for a text that they cannot speak.
    """
    samples = array.array("h", pcm.samples)
    if sys.byteorder == "big":
        samples.byteswap()
    count = len(samples)
    start = next((i for i, sample in enumerate(samples) if abs(sample) >= SILENCE_LEVEL), None)
    if start is None:
        raise NotFoundError("The synthesiser returned only silence for this text.")
    end = count - next(i for i, sample in enumerate(reversed(samples)) if abs(sample) >= SILENCE_LEVEL)
    margin = int(SILENCE_KEPT * pcm.rate)
    start, end = max(0, start - margin), min(count, end + margin)
    return Pcm(pcm.samples[start * 2 : end * 2], pcm.rate)


def encode_mp3(pcm: Pcm) -> bytes:
    """Encode as MP3. The same samples always give the same bytes.

    Raises:
        MissingDependencyError: lameenc is not installed.
    """
    try:
        import lameenc
    except (ImportError, OSError) as error:
        raise missing_dependency("MP3 files need the package lameenc", error, OFFLINE_EXTRA) from error
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_bit_rate(BIT_RATE)
    encoder.set_in_sample_rate(pcm.rate)
    encoder.set_channels(1)
    encoder.set_quality(ENCODER_QUALITY)
    return bytes(encoder.encode(pcm.samples)) + bytes(encoder.flush())
