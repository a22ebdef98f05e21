"""A server that behaves like the add-on AnkiConnect in a running Anki, including the faults of its transport.

    with AnkiServer() as server:
        ...  # a client at server.url adds notes
        assert [note.fields["Front"] for note in server.notes()] == ["gato"]

Everything is as measured with Anki 26.09.3 and the add-on's releases 25.11.9 and 23.10.29. The actions are in
`fake_anki.actions`. What is not obvious:

* The socket is closed after every reply, without `Connection: close`. A client that reuses the connection for a
  second request loses that request.
* Requests are handled one after another, at most one in each tick of a clock.
* The size of a body comes from `Content-Length: N`, with exactly one space. A chunked body is read as empty.
* An incomplete request blocks all others until it times out.
* Errors have the status 200.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import attrs

from deckwright.providers.deck import NoteType
from deckwright.testing.servers.base import Exchange, LocalServer, Received, Reply, head
from fake_anki.actions import (
    ActionCall,
    AddOnVersion,
    Anki,
    Costs,
    Envelope,
    Json,
)
from fake_anki.collection import AnkiCollection, AnkiNote
from fake_anki.memory import MemoryCollection

BANNER = b"AnkiConnect v.6"
# Web pages from here are allowed. Clients that are not browsers send no Origin.
ALLOWED_ORIGIN = "http://localhost"
# How long a connection stays open after its reply, in seconds: long enough for clients to reuse it.
_LINGER = 0.025
# How often an incomplete request checks whether the server is being stopped, in seconds.
_LOOK = 0.05


@attrs.frozen
class AnkiRefusal:
    """A fault: the whole request is answered with an error of the add-on, and is not carried out.

    To make a single action fail, also within `multi`, use `AnkiServer.refuse`.

    Attributes:
        error: The message, such as `"collection is not available"`.
    """

    error: str

    def apply(self, exchange: Exchange) -> None:
        """Send the error."""
        exchange.send(Reply.of_json({"result": None, "error": self.error}))


def is_call_of(action: str) -> Callable[[Received], bool]:
    """Return a function that recognises calls of one action, for the `when` of `AnkiServer.fail`."""

    def is_call(received: Received) -> bool:
        try:
            request = received.json()
        except ValueError:
            return False
        return isinstance(request, dict) and request.get("action") == action

    return is_call


class AnkiServer(LocalServer):
    """Anki with the add-on, on a free port of this computer, for the duration of a `with` block.

    `stop()` closes Anki: connections are refused. `start()` opens it again at the same address with the same
    collection.

    Attributes:
        anki: The state of Anki, which may be changed at any time: `server.anki.profile_open = False`.
        tick: Seconds from one request to the next.
        patience: Seconds without data after which an incomplete request times out.
    """

    def __init__(
        self,
        collection: AnkiCollection | None = None,
        *,
        version: AddOnVersion = "25.11.9",
        key: str | None = None,
        tick: float = 0.025,
        costs: Costs | None = None,
        browser_open: bool = False,
        anki_version: str = "26.09.3",
        profile: str = "User 1",
        profiles: tuple[str, ...] = (),
        profile_open: bool = True,
        load_takes: int = 0,
        logged_in: bool = False,
        protocol: int = 6,
        patience: float = 5.0,
        port: int = 0,
    ) -> None:
        """Prepare a server; it does not listen yet.

        Args:
            collection: The collection; by default a new one in memory, which is removed at the end.
            version: The release of the add-on.
            key: The key that clients must send.
            tick: Seconds from one request to the next.
            costs: How long Anki is busy; by default not at all. `MEASURED` has the real durations.
            browser_open: Whether the window "Browse" is open: then 25.11.9 puts some cards into the wrong deck.
            anki_version: The version of Anki that a new collection imitates.
            profile: The name of the profile.
            profiles: The names of all profiles, if there are others.
            profile_open: Whether the profile is loaded.
            load_takes: How many actions find no collection after `loadProfile`.
            logged_in: Whether the user is logged in to AnkiWeb.
            protocol: The version of the protocol that the action `version` returns.
            patience: Seconds without data after which an incomplete request times out.
            port: The port; 0 for any free one.
        """
        super().__init__(port=port)
        self._owns_collection = collection is None
        self.anki = Anki(
            MemoryCollection(anki_version=anki_version) if collection is None else collection,
            version=version,
            key=key,
            browser_open=browser_open,
            profile=profile,
            profiles=profiles or (profile,),
            profile_open=profile_open,
            load_takes=load_takes,
            logged_in=logged_in,
            protocol=protocol,
            costs=costs or Costs(),
        )
        self.tick = tick
        self.patience = patience
        self._envelope = Envelope(self.anki, self.spend)

    # What a test looks at

    @property
    def collection(self) -> AnkiCollection:
        """The collection, for everything else."""
        return self.anki.collection

    @property
    def calls(self) -> list[ActionCall]:
        """The actions that were called, in order, with those within `multi` after it."""
        return self._envelope.calls

    def notes(self) -> list[AnkiNote]:
        """Return all notes with their fields, tags and cards."""
        return self.collection.notes()

    def note_types(self) -> dict[str, NoteType]:
        """Return all note types, by name."""
        return self.collection.note_types()

    def decks(self) -> list[str]:
        """Return the names of all decks."""
        return sorted(self.collection.decks())

    def media(self) -> dict[str, bytes]:
        """Return the content of each media file, by name."""
        return self.collection.media()

    # What a test does to it

    def refuse(self, action: str, error: str, *, times: int = 1) -> None:
        """Make an action fail with an error, alone or within `multi`.

        Args:
            action: Its name.
            error: The message of the add-on.
            times: How often.
        """
        self._envelope.refuse(action, error, times)

    def close(self) -> None:
        """Stop, and remove the collection if it was made here."""
        self.stop()
        if self._owns_collection:
            self.collection.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    # What the add-on does

    def respond(self, received: Received) -> Reply:
        """Answer like the add-on."""
        allowed = received.headers.get("origin", ALLOWED_ORIGIN) == ALLOWED_ORIGIN
        if not allowed:
            return _denial(received)
        if not received.body:
            return Reply(200, BANNER)
        try:
            request = received.json()
        except ValueError as error:
            return _reply({"result": None, "error": str(error)})
        return _reply(self._envelope.reply(request))

    def spend(self, seconds: float) -> None:
        """Be busy for a while, but not after the server was stopped."""
        self.stopping.wait(seconds)

    def _accept(self, listener: socket.socket) -> None:
        """Handle connections, requests and replies one after another, as in the single thread of Anki."""
        listener.setblocking(False)
        with selectors.DefaultSelector() as polled:
            polled.register(listener, selectors.EVENT_READ)
            try:
                self._poll(listener, polled)
            finally:
                for key in list(polled.get_map().values()):
                    if key.fileobj is not listener:
                        _close(polled, key)

    def _poll(self, listener: socket.socket, polled: selectors.BaseSelector) -> None:
        next_tick = 0.0
        while not self.stopping.is_set():
            for key in self._ready(polled):
                if key.fileobj is listener:
                    _welcome(listener, polled)
                elif key.data.answered_at is not None:
                    _ignore(polled, key)
                elif not self.stopping.wait(max(0, next_tick - time.monotonic())):
                    next_tick = time.monotonic() + self.tick
                    self._serve(polled, key)

    def _ready(self, polled: selectors.BaseSelector) -> list[selectors.SelectorKey]:
        """Wait for something to do, and close the connections that were answered a while ago."""
        left = None
        for key in list(polled.get_map().values()):
            if key.data and key.data.answered_at is not None:
                time_left = key.data.answered_at + _LINGER - time.monotonic()
                if time_left <= 0:
                    _close(polled, key)
                else:
                    left = min(time_left, left or time_left)
        return [key for key, _ in polled.select(left)]

    def _serve(self, polled: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        connection = key.data.connection
        with suppress(OSError):
            received = self._receive(connection)
            self.spend(self.anki.costs.body * (len(received.body) / 1e6) ** 2)
            exchange = _Exchange(self, received, connection)
            self._handle(exchange)
            if not exchange.closing:
                key.data.answered_at = time.monotonic()
                key.data.expects_more = "transfer-encoding" in received.headers
                return
        _close(polled, key)

    def _receive(self, connection: socket.socket) -> Received:
        """Read one request. Nothing else happens until it is complete or times out."""
        data = bytearray()
        while b"\r\n\r\n" not in data:
            data += self._more(connection)
        start, _, body = bytes(data).partition(b"\r\n\r\n")
        at = time.monotonic()
        first, *lines = start.decode("latin-1").split("\r\n")
        method, _, target = first.partition(" ")
        # Headers without a space after the colon are ignored.
        headers = {
            name.lower(): value for name, colon, value in (line.partition(": ") for line in lines) if colon
        }
        size = headers.get("content-length", "")
        expected = int(size) if size.isdecimal() else 0
        content = bytearray(body)
        while len(content) < expected:
            content += self._more(connection)
        return Received(method, target.rpartition(" ")[0], headers, bytes(content[:expected]), at)

    def _more(self, connection: socket.socket) -> bytes:
        deadline = time.monotonic() + self.patience
        while not self.stopping.is_set():
            connection.settimeout(max(0.001, min(_LOOK, deadline - time.monotonic())))
            try:
                data = connection.recv(1 << 16)
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise
                continue
            if not data:
                raise ConnectionResetError("The request is incomplete.")
            connection.settimeout(None)
            return data
        raise ConnectionAbortedError("The server was stopped.")


@attrs.define
class _Connection:
    """A connection and its state.

    Attributes:
        connection: The socket.
        answered_at: When it got its reply, by `time.monotonic()`.
        expects_more: Whether the client may still be sending a body that was not read.
    """

    connection: socket.socket
    answered_at: float | None = None
    expects_more: bool = False


class _Exchange(Exchange):
    """One request. The reply does not say that the connection ends after it."""

    def __init__(self, server: LocalServer, received: Received, connection: socket.socket) -> None:
        super().__init__(server, received, connection)
        self.closing = False

    def send(self, reply: Reply) -> None:
        self.write(head(reply.status, {**reply.headers, "Content-Length": str(len(reply.body))}) + reply.body)


def _reply(value: Json) -> Reply:
    headers = {"Content-Type": "application/json", "Access-Control-Allow-Origin": ALLOWED_ORIGIN}
    return Reply(200, json.dumps(value).encode(), headers)


def _denial(received: Received) -> Reply:
    """Answer a web page from another origin: permission is denied, other requests get an empty reply."""
    if not is_call_of("requestPermission")(received):
        return Reply(403)
    result = {"permission": "denied"}
    version = received.json().get("version")
    enveloped = isinstance(version, int) and version > 4
    return _reply({"result": result, "error": None} if enveloped else result)


def _welcome(listener: socket.socket, polled: selectors.BaseSelector) -> None:
    with suppress(OSError):
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        polled.register(connection, selectors.EVENT_READ, _Connection(connection))


def _ignore(polled: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Handle what comes after a reply: the end, the rest of the request, or another one, which is lost."""
    if key.data.expects_more:
        with suppress(OSError):
            if key.data.connection.recv(1 << 16):
                return
    # Closing resets it if there is unread data.
    _close(polled, key)


def _close(polled: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    polled.unregister(key.fileobj)
    key.data.connection.close()
