"""Reads the body of a response piece by piece, and stops when it is too large or too slow."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Iterable, Iterator

import httpx

from deckwright.errors import BadMediaError, TransientError

_ENCODINGS = ("", "identity", "gzip")
# Bytes that are unpacked in one step: a small body could otherwise fill the memory.
_STEP = 65_536


def read_body(response: httpx.Response, max_bytes: float, timeout: float) -> bytes:
    """Return a whole body. Arguments and errors are those of `iter_body`."""
    return b"".join(iter_body(response, max_bytes, timeout))


def read_start(response: httpx.Response, size: int, timeout: float) -> bytes:
    """Return about the first `size` bytes of a body, however large the body is."""
    content = bytearray()
    for chunk in iter_body(response, math.inf, timeout):
        content += chunk
        if len(content) >= size:
            break
    return bytes(content)


def iter_body(response: httpx.Response, max_bytes: float, timeout: float) -> Iterator[bytes]:
    """Yield a body in pieces.

    Args:
        response: A response whose body was not read yet.
        max_bytes: The largest size of the unpacked body.
        timeout: How many seconds reading may take.

    Raises:
        BadMediaError: The body is too large, or has an encoding that was not requested.
        TransientError: Reading takes too long.
        httpx.HTTPError: The body cannot be read.
    """
    host = response.url.host
    too_large = BadMediaError(f"{host} sent more than {max_bytes / 1_000_000:g} MB, which is too much.")
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        if response.is_error:  # the status is enough
            return
        raise BadMediaError(f"{host} sent an encoding that was not requested: {encoding!r:.40}.")
    if int(response.headers.get("content-length") or 0) > max_bytes:
        raise too_large
    start, size = time.monotonic(), 0
    chunks = response.iter_raw()
    for chunk in _unzip(chunks) if encoding == "gzip" else chunks:
        size += len(chunk)
        if size > max_bytes:
            raise too_large
        if time.monotonic() - start > timeout:
            raise TransientError(f"{host} sent its response too slowly.", reply_lost=True)
        yield chunk


def _unzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip in small steps, so that little of it is in memory."""
    unpacker = None
    try:
        for data in chunks:
            while data:
                if unpacker is None or unpacker.eof:  # gzip may have several parts
                    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
                yield unpacker.decompress(data, _STEP)
                data = unpacker.unconsumed_tail or unpacker.unused_data
        if unpacker is not None:
            yield unpacker.flush()
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from None
    if unpacker is not None and not unpacker.eof:
        raise httpx.DecodingError("the compressed data is incomplete")
