"""Errors that any HTTP server can have, for `LocalServer.fail`.

A fault is any object with a method `apply(exchange)`. `Reply`, with any status, is the most common one.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterator

import attrs

from deckwright.testing.servers.base import Exchange, Fault, Reply, head

_BLOCK = bytes(1 << 20)


@attrs.frozen
class Slow:
    """The reply is late. The wait ends when the server is stopped.

    Attributes:
        seconds: The delay.
        then: The fault after the delay; by default the request is answered.
    """

    seconds: float
    then: Fault | None = None

    def apply(self, exchange: Exchange) -> None:
        """Wait, then continue."""
        exchange.wait(self.seconds)
        (self.then or exchange.answer()).apply(exchange)


@attrs.frozen
class Truncated:
    """The request is carried out, but only a part of the body is sent before the connection is closed.

    Attributes:
        share: The part of the body that is sent.
        reply: The reply to truncate; by default the normal one.
    """

    share: float = 0.5
    reply: Reply | None = None

    def apply(self, exchange: Exchange) -> None:
        """Send a part of the reply."""
        reply = self.reply or exchange.answer()
        _send_part(exchange, reply, int(len(reply.body) * self.share))
        exchange.drop()


@attrs.frozen
class Dropped:
    """The connection is lost.

    Attributes:
        after: The number of bytes of the body that are sent first. With `None`, not even a status is sent, and the
            request is not carried out.
        reset: Whether the connection is reset (TCP RST), as after a crash, or closed.
    """

    after: int | None = None
    reset: bool = False

    def apply(self, exchange: Exchange) -> None:
        """End the connection."""
        if self.after is not None:
            _send_part(exchange, exchange.answer(), self.after)
        exchange.drop(reset=self.reset)


@attrs.frozen
class LostReply:
    """The request is carried out and charged, but the client never gets the result.

    Attributes:
        then: What the client gets instead, such as `Reply(504)`; by default a closed connection.
    """

    then: Fault = Dropped()

    def apply(self, exchange: Exchange) -> None:
        """Carry out the request without sending the reply."""
        exchange.answer()
        self.then.apply(exchange)


@attrs.frozen
class HtmlPage:
    """An HTML page instead of JSON or media, such as a captive portal or a protection against bots.

    Attributes:
        title: The title of the page.
        status: The HTTP status.
    """

    title: str = "Just a moment..."
    status: int = 200

    def apply(self, exchange: Exchange) -> None:
        """Send the page."""
        exchange.send(self.reply())

    def reply(self) -> Reply:
        """Return the page without sending it."""
        title = self.title
        page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
        return Reply(self.status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


@attrs.frozen
class Redirect:
    """The client is redirected.

    Attributes:
        url: The new address.
        status: 301, 302, 303, 307 or 308.
    """

    url: str
    status: int = 302

    def apply(self, exchange: Exchange) -> None:
        """Send the redirect."""
        exchange.send(Reply(self.status, headers={"Location": self.url}))


@attrs.frozen
class Oversized:
    """A very large body. It is never in memory as a whole.

    Attributes:
        size: The number of bytes.
        declared: Whether the header Content-Length is sent; otherwise the body is chunked.
        content_type: The content type in the header.
        start: The first bytes, for example the signature of a file format; zeros follow.
    """

    size: int = 5 << 30
    declared: bool = True
    content_type: str = "application/octet-stream"
    start: bytes = b""

    def apply(self, exchange: Exchange) -> None:
        """Send the body."""
        headers = {"Content-Type": self.content_type}
        if self.declared:
            exchange.write(head(200, {**headers, "Content-Length": str(self.size)}))
            for block in self._blocks():
                exchange.write(block)
        else:
            exchange.write(head(200, {**headers, "Transfer-Encoding": "chunked"}))
            for block in self._blocks():
                exchange.write(b"%x\r\n%s\r\n" % (len(block), block))
            exchange.write(b"0\r\n\r\n")

    def _blocks(self) -> Iterator[bytes]:
        start = self.start[: self.size]
        if start:
            yield start
        for sent in range(len(start), self.size, len(_BLOCK)):
            yield _BLOCK[: self.size - sent]


@attrs.frozen
class GzipBomb:
    """A small body that becomes a thousand times larger when a client decompresses it.

    Attributes:
        size: The decompressed size in bytes, rounded up to whole MiB.
        layers: How often it is compressed. With two layers a few KB are enough, for clients that decompress twice.
        content_type: The content type in the header.
    """

    size: int = 256 << 20
    layers: int = 1
    content_type: str = "application/json"

    def apply(self, exchange: Exchange) -> None:
        """Send the compressed body."""
        encodings = ", ".join(["gzip"] * self.layers)
        headers = {"Content-Type": self.content_type, "Content-Encoding": encodings}
        exchange.send(Reply(200, _gzipped_zeros(self.size, self.layers), headers))


@functools.lru_cache
def _gzipped_zeros(size: int, layers: int) -> bytes:
    """Compress zeros without having all of them in memory: a flushed block is independent and can be repeated."""
    count = -(-size // len(_BLOCK))
    checksum = 0
    for _ in range(count):
        checksum = zlib.crc32(_BLOCK, checksum)
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = deflate.compress(_BLOCK) + deflate.flush(zlib.Z_FULL_FLUSH)
    start, end = b"\x1f\x8b\x08" + bytes(6) + b"\xff", deflate.flush()
    body = start + block * count + end + struct.pack("<II", checksum, count * len(_BLOCK) & 0xFFFFFFFF)
    for _ in range(layers - 1):
        packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    return body


def _send_part(exchange: Exchange, reply: Reply, size: int) -> None:
    """Send a reply with the length of the whole body, but only the first bytes of it."""
    headers = {**reply.headers, "Content-Length": str(len(reply.body))}
    exchange.write(head(reply.status, headers) + reply.body[:size])
