"""The HTTP server that all stand-ins use: it records requests, answers them, and fails on demand.

It uses sockets directly, because HTTP libraries refuse to send most of what makes a client fail.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.client import responses
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import attrs

if TYPE_CHECKING:
    from typing_extensions import Self

HOST = "127.0.0.1"
BACKLOG = 1024


@attrs.frozen
class Received:
    """One request, as the server saw it.

    Attributes:
        method: `"GET"`, `"POST"`, ...
        path: The target as it was sent, still percent-encoded, with its query.
        headers: By name in lower case; repeated headers are joined with commas.
        body: The whole body.
        at: `time.monotonic()` when the headers had arrived.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        """Return the body, parsed as JSON."""
        return json.loads(self.body)


class Fault(Protocol):
    """Something that happens to a request instead of a normal answer: any object with this method."""

    def apply(self, exchange: Exchange) -> None:
        """Handle a request."""


@attrs.frozen
class Reply:
    """A complete reply. It is also a fault: the request gets this reply, and is not carried out.

    Attributes:
        status: The HTTP status.
        body: The body; its length is sent automatically.
        headers: Additional headers.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def of_json(cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Make a reply of a value, as JSON."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})})

    def apply(self, exchange: Exchange) -> None:
        """Send this reply."""
        exchange.send(self)


class Exchange:
    """One request, and the ways to answer it.

    Attributes:
        received: The request.
        server: The server that received it.
        closing: Whether the connection ends after this.
    """

    def __init__(self, server: LocalServer, received: Received, connection: socket.socket) -> None:
        self.server = server
        self.received = received
        self.closing = received.headers.get("connection", "").lower() == "close"
        self._connection = connection
        self._answer: Reply | None = None

    def answer(self) -> Reply:
        """Carry out the request, including charges, and return the reply without sending it.

        The request is only carried out once, even if this is called again.
        """
        if self._answer is None:
            self._answer = self.server.answer(self.received)
        return self._answer

    def send(self, reply: Reply) -> None:
        """Send a whole reply."""
        headers = {**reply.headers, "Content-Length": str(len(reply.body))}
        if self.closing:
            headers["Connection"] = "close"
        body = b"" if self.received.method == "HEAD" else reply.body
        self.write(head(reply.status, headers) + body)

    def write(self, data: bytes) -> None:
        """Send raw bytes."""
        self._connection.sendall(data)

    def wait(self, seconds: float) -> None:
        """Wait, but not after the server has been stopped.

        Raises:
            ConnectionAbortedError: The server was stopped.
        """
        if self.server.stopping.wait(seconds):
            raise ConnectionAbortedError("The server was stopped.")

    def drop(self, *, reset: bool = False) -> None:
        """End the connection after this, as if the reply were complete.

        Args:
            reset: Reset the connection (TCP RST) instead of closing it.
        """
        self.closing = True
        if reset:
            # With a linger time of zero, closing the socket resets the connection.
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@attrs.define(eq=False)
class _Plan:
    """A fault that will be applied to requests."""

    fault: Fault
    times: int | None
    when: Callable[[Received], bool] | None


class LocalServer(ABC):
    """A server on a free port of this computer, for the duration of a `with` block.

    It speaks HTTP/1.1 with persistent connections, one thread each. Derive the stand-in for a service from it and
    implement `respond`. Faults work the same for all:

        with SomeServer() as server:
            server.fail(Reply(503), times=2)
            ...  # two requests fail, the third is answered
            assert len(server.requests) == 3

    Attributes:
        url: Its address, such as `"http://127.0.0.1:43210"`, after it has started.
        requests: All requests, in order.
        latency: Seconds before each reply.
        max_at_once: The highest number of requests at the same time.
        stopping: Set when the server is being stopped.
    """

    def __init__(self, *, port: int = 0, latency: float = 0) -> None:
        """Prepare a server; it does not listen yet.

        Args:
            port: The port; 0 for any free one.
            latency: Seconds before each reply.
        """
        self.url = ""
        self.requests: list[Received] = []
        self.latency = latency
        self.max_at_once = 0
        self.stopping = threading.Event()
        self._port = port
        self._at_once = 0
        self._plans: list[_Plan] = []
        # Reentrant, because a `when` function may add faults.
        self._lock = threading.RLock()
        self._answering = threading.Lock()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._conversations: dict[socket.socket, threading.Thread] = {}

    @abstractmethod
    def respond(self, received: Received) -> Reply:
        """Carry out a request; called for one request at a time."""

    @property
    def base_url(self) -> str:
        """The value for the setting `base_url` of a provider."""
        return self.url

    def fail(
        self, fault: Fault, *, times: int | None = 1, when: Callable[[Received], bool] | None = None
    ) -> None:
        """Apply a fault to requests instead of answering them.

        Faults are applied in the order of these calls: a request gets the first one whose `when` is true.

        Args:
            fault: A `Reply`, one of `deckwright.testing.servers.faults`, or your own.
            times: The number of requests; `None` for all.
            when: Returns whether a request is meant; by default every request is.
        """
        with self._lock:
            self._plans.append(_Plan(fault, times, when))

    def clear_faults(self) -> None:
        """Remove all faults that were not applied yet."""
        with self._lock:
            self._plans.clear()

    def answer(self, received: Received) -> Reply:
        """Carry out a request, without faults, and return the reply."""
        with self._answering:
            return self.respond(received)

    def start(self) -> None:
        """Start to listen. A server that was stopped gets the same address again."""
        if self._listener:
            return
        listener = socket.create_server((HOST, self._port), backlog=BACKLOG)
        self._port = listener.getsockname()[1]
        self.url = f"http://{HOST}:{self._port}"
        self.stopping.clear()
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Stop listening, end all connections, and wait for all threads."""
        if not self._listener or not self._acceptor:
            return
        self.stopping.set()
        # Closing a socket does not end accept() on every system; a connection does.
        with suppress(OSError):
            socket.create_connection((HOST, self._port)).close()
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            conversations = dict(self._conversations)
        for connection in conversations:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in conversations.values():
            thread.join()
        self._listener = self._acceptor = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            if self.stopping.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
            with self._lock:
                self._conversations[connection] = thread
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        """Handle the requests of one connection until either side ends it."""
        try:
            # It is not an error if the client disconnects or the server is stopped.
            with connection, connection.makefile("rb") as stream, suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for received in _requests(stream, connection):
                    exchange = Exchange(self, received, connection)
                    self._handle(exchange)
                    if exchange.closing:
                        return
        finally:
            with self._lock:
                del self._conversations[connection]

    def _handle(self, exchange: Exchange) -> None:
        with self._lock:
            self.requests.append(exchange.received)
            self._at_once += 1
            self.max_at_once = max(self.max_at_once, self._at_once)
            fault = self._next_fault(exchange.received)
        try:
            if self.latency:
                exchange.wait(self.latency)
            (fault or exchange.answer()).apply(exchange)
        finally:
            with self._lock:
                self._at_once -= 1

    def _next_fault(self, received: Received) -> Fault | None:
        for plan in self._plans:
            if plan.when is None or plan.when(received):
                if plan.times is not None:
                    plan.times -= 1
                    if plan.times <= 0:
                        self._plans.remove(plan)
                return plan.fault
        return None


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return a status line and headers as bytes, including the empty line."""
    lines = [
        f"HTTP/1.1 {status} {responses.get(status, '')}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _requests(stream: BinaryIO, connection: socket.socket) -> Iterator[Received]:
    """Yield the requests of a connection until it ends or one is not valid HTTP."""
    while line := stream.readline():
        try:
            received = _request(line, stream, connection)
        except ValueError:
            connection.sendall(head(400, {"Content-Length": "0", "Connection": "close"}))
            return
        yield received


def _request(line: bytes, stream: BinaryIO, connection: socket.socket) -> Received:
    """Read a request after its first line; raise `ValueError` if it is not valid HTTP."""
    method, path, _ = line.decode("latin-1").split()
    headers = _headers(stream)
    at = time.monotonic()
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(head(100, {}))
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b"".join(_chunks(stream))
    else:
        body = _exactly(stream, int(headers.get("content-length", 0)))
    return Received(method, path, headers, body, at)


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while size := int(stream.readline().partition(b";")[0], 16):
        yield _exactly(stream, size)
        stream.readline()
    _headers(stream)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionResetError("The request is incomplete.")
    return data
