"""What can go wrong with any HTTP server, ready to be handed to `LocalServer.fail`.

A fault is anything with a method `meet(exchange)`; `Reply`, with whatever status, is the commonest one.
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
    """Nothing is said for a while; it ends at once when the server stops.

    Attributes:
        seconds: How long.
        then: What happens afterwards; by default the request is answered.
    """

    seconds: float
    then: Fault | None = None

    def meet(self, exchange: Exchange) -> None:
        """Wait, then go on."""
        exchange.wait(self.seconds)
        (self.then or exchange.answer()).meet(exchange)


@attrs.frozen
class Truncated:
    """The request is carried out, but only a part of the promised body comes; then the connection is closed.

    Attributes:
        share: How much of the body is sent.
        reply: What is truncated; by default the server's answer.
    """

    share: float = 0.5
    reply: Reply | None = None

    def meet(self, exchange: Exchange) -> None:
        """Send a part."""
        reply = self.reply or exchange.answer()
        _send_part(exchange, reply, int(len(reply.body) * self.share))
        exchange.drop()


@attrs.frozen
class Dropped:
    """The connection is lost.

    Attributes:
        after: How many bytes of the answer's body come first. `None`: not even a status, and the request is
            not carried out.
        reset: Whether it is torn down (TCP RST), as by a crash, or closed in good order.
    """

    after: int | None = None
    reset: bool = False

    def meet(self, exchange: Exchange) -> None:
        """Hang up."""
        if self.after is not None:
            _send_part(exchange, exchange.answer(), self.after)
        exchange.drop(reset=self.reset)


@attrs.frozen
class LostReply:
    """The request is carried out and charged, but the client never learns the result.

    Attributes:
        then: What the client sees instead, such as `Reply(504)`; by default a closed connection.
    """

    then: Fault = Dropped()

    def meet(self, exchange: Exchange) -> None:
        """Do the work, and keep silent about it."""
        exchange.answer()
        self.then.meet(exchange)


@attrs.frozen
class HtmlPage:
    """A page for people, where a client expects JSON or media: a captive portal, or a guard against robots.

    Attributes:
        title: What the page is called.
        status: The HTTP status.
    """

    title: str = "Just a moment..."
    status: int = 200

    def meet(self, exchange: Exchange) -> None:
        """Send the page."""
        exchange.send(self.reply())

    def reply(self) -> Reply:
        """Return the page without sending it."""
        title = self.title
        page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
        return Reply(self.status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


@attrs.frozen
class Redirect:
    """The answer is said to be elsewhere.

    Attributes:
        url: Where.
        status: 301, 302, 303, 307 or 308.
    """

    url: str
    status: int = 302

    def meet(self, exchange: Exchange) -> None:
        """Point there."""
        exchange.send(Reply(self.status, headers={"Location": self.url}))


@attrs.frozen
class Oversized:
    """A body without end, more or less; it is never in memory as a whole.

    Attributes:
        size: How many bytes follow.
        declared: Whether Content-Length says so beforehand; else the body comes in chunks, as long as it takes.
        content_type: What it is said to be.
        start: Its first bytes, such as those by which a kind of file is told; zeros follow.
    """

    size: int = 5 << 30
    declared: bool = True
    content_type: str = "application/octet-stream"
    start: bytes = b""

    def meet(self, exchange: Exchange) -> None:
        """Send and send."""
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
    """A small body that a client which decodes it finds to be a thousand times larger.

    Attributes:
        size: What it expands to, in bytes; rounded up to whole MiB.
        layers: How often it is compressed. Twice, a few KB suffice, for clients that decode more than once.
        content_type: What it is said to be.
    """

    size: int = 256 << 20
    layers: int = 1
    content_type: str = "application/json"

    def meet(self, exchange: Exchange) -> None:
        """Send the compressed body."""
        encodings = ", ".join(["gzip"] * self.layers)
        headers = {"Content-Type": self.content_type, "Content-Encoding": encodings}
        exchange.send(Reply(200, _gzipped_zeros(self.size, self.layers), headers))


@functools.lru_cache
def _gzipped_zeros(size: int, layers: int) -> bytes:
    """Compress zeros without ever having as many: a flushed block depends on none before and can be repeated."""
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
    """Send a reply whose head promises the whole body, and so many bytes of it."""
    headers = {**reply.headers, "Content-Length": str(len(reply.body))}
    exchange.write(head(reply.status, headers) + reply.body[:size])
