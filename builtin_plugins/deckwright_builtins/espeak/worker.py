"""The process that espeak-ng runs in: `python worker.py LIBRARY DATA`. It uses the standard library alone.

It first writes the voices, `{"voices": {TAG: VOICE}, "bytes": 0}`. Then, for every line of JSON on its standard input,

    {"text": "house", "voice": "gmw/en-US", "speed": 150, "pitch": 50, "volume": 90}

it writes a line of JSON and that many bytes of samples (mono, signed 16-bit, little-endian):

    {"rate": 22050, "bytes": 21032}         or, if the word cannot be spoken,         {"error": ..., "bytes": 0}

It ends at the end of its input.
"""

from __future__ import annotations

import _ctypes
import ctypes
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# ctypes has no public function that unloads a library.
if sys.platform == "win32":
    unload = _ctypes.FreeLibrary
else:
    unload = _ctypes.dlclose

# From espeak-ng's header, speak_lib.h.
SYNCHRONOUS = 2
DONT_EXIT = 0x8000
CHARS_UTF8 = 1  # without the flags for SSML and [[phonemes]]
RATE, VOLUME, PITCH = 1, 2, 3

SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Voice(ctypes.Structure):
    """`espeak_VOICE`. Its `languages` are pairs of a priority byte and a string, followed by a zero."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


@contextmanager
def espeak(library: str, data: str) -> Iterator[tuple[Any, int]]:
    """Load the library; yield it and the sample rate.

    It is loaded again for every word, in a millisecond. Its noise and flutter continue from word to word, so only a
    fresh start speaks the same word with the same samples.
    """
    lib: Any = ctypes.CDLL(library)
    try:
        # On Windows the library expects names of files in the system's code page.
        path = data.encode("mbcs") if sys.platform == "win32" else os.fsencode(data)
        rate = lib.espeak_Initialize(SYNCHRONOUS, 0, path, DONT_EXIT)
        if rate <= 0:
            raise OSError(f"espeak-ng found no data in {data}")
        try:
            yield lib, rate
        finally:
            lib.espeak_Terminate()
    finally:
        unload(lib._handle)


def voices(lib: Any) -> dict[str, str]:
    """Return the voice for every language tag, in lower case; of several voices, the one that espeak-ng prefers."""
    best: dict[str, tuple[int, str]] = {}
    lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
    for pointer in lib.espeak_ListVoices(None):
        if not pointer:
            break
        identifier = pointer.contents.identifier.decode()
        # Some voices only have a long tag ("chr-US-Qaaa-x-west"); their file has the short name.
        tags = [*languages(pointer.contents), (99, identifier.rpartition("/")[2])]
        for priority, tag in tags:
            if tag.lower() not in best or priority < best[tag.lower()][0]:
                best[tag.lower()] = (priority, identifier)
    return {tag: identifier for tag, (_, identifier) in best.items()}


def languages(voice: Voice) -> Iterator[tuple[int, str]]:
    """Yield the languages of a voice, each with its priority; lower is better."""
    address = voice.languages
    while priority := ctypes.string_at(address, 1)[0]:
        tag = ctypes.string_at(address + 1)
        yield priority, tag.decode()
        address += len(tag) + 2


def speak(lib: Any, text: str, voice: str, speed: int, pitch: int, volume: int) -> bytes:
    """Return the samples of `text`, or raise `ValueError`."""
    chunks: list[bytes] = []

    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count:
            chunks.append(ctypes.string_at(samples, count * 2))
        return 0

    callback = SynthCallback(collect)
    lib.espeak_SetSynthCallback(callback)
    if lib.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"there is no voice {voice!r}")
    for parameter, value in ((RATE, speed), (VOLUME, volume), (PITCH, pitch)):
        lib.espeak_SetParameter(parameter, value, 0)
    encoded = text.encode()
    size = ctypes.c_size_t(len(encoded) + 1)
    status = lib.espeak_Synth(encoded, size, 0, 0, 0, CHARS_UTF8, None, None)
    if status != 0:
        raise ValueError(f"error {status}")
    return b"".join(chunks)


def main(library: str, data: str) -> None:
    """Write the voices, then answer until the end of the input."""
    # What the library prints must not appear between the answers.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)

        def answer(header: dict[str, Any], samples: bytes = b"") -> None:
            answers.write(json.dumps({**header, "bytes": len(samples)}).encode() + b"\n" + samples)
            answers.flush()

        with espeak(library, data) as (lib, _):
            known = voices(lib)
        answer({"voices": known})
        for line in sys.stdin.buffer:
            try:
                with espeak(library, data) as (lib, rate):
                    samples = speak(lib, **json.loads(line))
            except ValueError as error:
                answer({"error": str(error)})
            else:
                answer({"rate": rate}, samples)


if __name__ == "__main__":
    main(*sys.argv[1:])
