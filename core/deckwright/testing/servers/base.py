"""The HTTP server under every stand-in: it records what it receives, answers, and fails when told to.

It is written on bare sockets, because most of what makes a client fail is what a well-behaved HTTP library
refuses to send.
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
        headers: By name in lower case; one that came several times is joined with commas.
        body: What followed the headers, all of it.
        at: `time.monotonic()` when the headers had arrived.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


class Fault(Protocol):
    """What can be done to a request instead of answering it: anything with this one method."""

    def meet(self, exchange: Exchange) -> None:
        """Deal with a request, well or badly."""


@attrs.frozen
class Reply:
    """A whole answer, and as such a fault too: the request is answered so, and nothing is done for it.

    Attributes:
        status: The HTTP status.
        body: The body; its length is sent along.
        headers: Further headers.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def of_json(cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """Make a reply of a value, as JSON."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})})

    def meet(self, exchange: Exchange) -> None:
        """Answer so."""
        exchange.send(self)


class Exchange:
    """One request and the ways to answer it: what a fault has to work with.

    Attributes:
        received: The request.
        server: Who received it.
        closing: Whether the connection ends after this.
    """

    def __init__(self, server: LocalServer, received: Received, connection: socket.socket) -> None:
        self.server = server
        self.received = received
        self.closing = received.headers.get("connection", "").lower() == "close"
        self._connection = connection
        self._answer: Reply | None = None

    def answer(self) -> Reply:
        """Have the server do what is asked, charges and all, and return its reply without sending it.

        However often this is called, it is done once.
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
        """Send bytes as they are."""
        self._connection.sendall(data)

    def wait(self, seconds: float) -> None:
        """Let time pass, but not once the server stops.

        Raises:
            ConnectionAbortedError: The server stops; there is nothing more to do.
        """
        if self.server.stopping.wait(seconds):
            raise ConnectionAbortedError("The server stops.")

    def drop(self, *, reset: bool = False) -> None:
        """End the connection after this, as if all had been said.

        Args:
            reset: Tear it down at once (TCP RST), in place of closing it in good order.
        """
        self.closing = True
        if reset:
            # Lingering for no time at all is how a socket is told to reset its connection.
            linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@attrs.define(eq=False)
class _Plan:
    """A fault that waits for requests to meet."""

    fault: Fault
    times: int | None
    when: Callable[[Received], bool] | None


class LocalServer(ABC):
    """A server on a free port of this machine, for as long as a `with` lasts.

    It speaks HTTP/1.1 with connections that stay open, one thread each. A stand-in for a service derives from
    it and says in `respond` what it answers; faults are the same for all:

        with SomeServer() as server:
            server.fail(Reply(503), times=2)
            ...  # two requests fail, the third is answered
            assert len(server.requests) == 3

    Attributes:
        url: Where it listens, such as `"http://127.0.0.1:43210"`; known once it has started.
        requests: All that was received, in order.
        latency: Seconds that pass before each reply.
        most_at_once: The most requests that were being dealt with at one time.
        stopping: Set once it is to stop.
    """

    def __init__(self, *, port: int = 0, latency: float = 0) -> None:
        """Prepare a server; nothing listens yet.

        Args:
            port: Where to listen; 0 for any free one.
            latency: Seconds that pass before each reply.
        """
        self.url = ""
        self.requests: list[Received] = []
        self.latency = latency
        self.most_at_once = 0
        self.stopping = threading.Event()
        self._port = port
        self._at_once = 0
        self._plans: list[_Plan] = []
        # Taken again by a `when` that tells of more faults.
        self._lock = threading.RLock()
        self._answering = threading.Lock()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._conversations: dict[socket.socket, threading.Thread] = {}

    @abstractmethod
    def respond(self, received: Received) -> Reply:
        """Do what a request asks; called for one request at a time."""

    @property
    def base_url(self) -> str:
        """What a provider's setting `base_url` should be."""
        return self.url

    def fail(
        self, fault: Fault, *, times: int | None = 1, when: Callable[[Received], bool] | None = None
    ) -> None:
        """Have requests meet a fault in place of their answer.

        Faults are met in the order of these calls: a request meets the first whose `when` says so.

        Args:
            fault: A `Reply`, one of `deckwright.testing.servers.faults`, or your own.
            times: How many requests; `None` for all from now on.
            when: Which requests; by default any.
        """
        with self._lock:
            self._plans.append(_Plan(fault, times, when))

    def heal(self) -> None:
        """Forget all faults that wait."""
        with self._lock:
            self._plans.clear()

    def answer(self, received: Received) -> Reply:
        """Do what a request asks, whatever faults wait, and return the reply."""
        with self._answering:
            return self.respond(received)

    def start(self) -> None:
        """Listen, unless it does so already. A server that was stopped comes back at the same address."""
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
        """Stop listening, end all connections, and wait until no thread is left."""
        if not self._listener or not self._acceptor:
            return
        self.stopping.set()
        # Not every system wakes a thread that accepts when its socket is closed; a caller does.
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
        """Deal with the requests of one connection, until either side ends it."""
        try:
            # That the other side goes away, or that the server stops, is no fault of this thread's.
            with connection, connection.makefile("rb") as stream, suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for received in _requests(stream, connection):
                    exchange = Exchange(self, received, connection)
                    self._deal_with(exchange)
                    if exchange.closing:
                        return
        finally:
            with self._lock:
                del self._conversations[connection]

    def _deal_with(self, exchange: Exchange) -> None:
        with self._lock:
            self.requests.append(exchange.received)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            fault = self._next_fault(exchange.received)
        try:
            if self.latency:
                exchange.wait(self.latency)
            (fault or exchange.answer()).meet(exchange)
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
    """Return a status line and headers as they are sent, the empty line included; nothing is added."""
    lines = [
        f"HTTP/1.1 {status} {responses.get(status, '')}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _requests(stream: BinaryIO, connection: socket.socket) -> Iterator[Received]:
    """Yield the requests of a connection until it ends, or until one is not HTTP."""
    while line := stream.readline():
        try:
            received = _request(line, stream, connection)
        except ValueError:
            connection.sendall(head(400, {"Content-Length": "0", "Connection": "close"}))
            return
        yield received


def _request(line: bytes, stream: BinaryIO, connection: socket.socket) -> Received:
    """Read a request whose first line was read already; `ValueError` if it is not HTTP."""
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
        raise ConnectionResetError("The request ends before its end.")
    return data
