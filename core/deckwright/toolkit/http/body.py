"""The body of a response: read and unpacked by and by, as long as it is neither too large nor too slow."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterable, Iterator

import httpx

from deckwright.errors import BadMediaError, TransientError

# What is unpacked, and so what may be asked for.
_ENCODINGS = ("", "identity", "gzip")
# Bytes that are unpacked at once: a small reply could be made to fill the memory.
_PIECE = 65_536


def read(response: httpx.Response, largest: float, patience: float) -> bytes:
    """Return a body; arguments and errors as for `chunks`."""
    return b"".join(chunks(response, largest, patience))


def beginning(response: httpx.Response, enough: int, patience: float) -> bytes:
    """Return the first bytes of a body, about `enough` of them, however large it is."""
    content = bytearray()
    for chunk in chunks(response, math.inf, patience):
        content += chunk
        if len(content) >= enough:
            break
    return bytes(content)


def chunks(response: httpx.Response, largest: float, patience: float) -> Iterator[bytes]:
    """Yield a body in pieces.

    Args:
        response: A response whose body is not read yet.
        largest: How many bytes it may have, unpacked.
        patience: How many seconds it may take.

    Raises:
        BadMediaError: It is too large, or of an encoding that was not asked for.
        TransientError: It takes too long.
        httpx.HTTPError: It cannot be read.
    """
    host = response.url.host
    too_large = BadMediaError(f"{host} sends more than {largest / 1_000_000:g} MB; it was given up.")
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        if response.is_error:  # its status says enough
            return
        raise BadMediaError(f"{host} answers with an encoding that was not asked for: {encoding!r:.40}.")
    if int(response.headers.get("content-length") or 0) > largest:
        raise too_large
    started, size = time.monotonic(), 0
    pieces = response.iter_raw()
    for chunk in _unzipped(pieces) if encoding == "gzip" else pieces:
        size += len(chunk)
        if size > largest:
            raise too_large
        if time.monotonic() - started > patience:
            raise TransientError(f"{host} answers too slowly; it was given up.", reply_lost=True)
        yield chunk


def _unzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip by and by, so that no more of it is in memory than was asked for."""
    unpacker = None
    try:
        for data in pieces:
            while data:
                if unpacker is None or unpacker.eof:  # it may be of several parts
                    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
                yield unpacker.decompress(data, _PIECE)
                data = unpacker.unconsumed_tail or unpacker.unused_data
        if unpacker is not None:
            yield unpacker.flush()
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from None
    if unpacker is not None and not unpacker.eof:
        raise httpx.DecodingError("what was compressed is cut off")
