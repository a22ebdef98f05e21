"""A server that behaves as the add-on AnkiConnect does in a running Anki, faults of its transport included.

    with AnkiServer() as server:
        ...  # a client at server.url adds notes
        assert [note.fields["Front"] for note in server.notes()] == ["gato"]

Everything is as measured with Anki 26.09.3 and the add-on's releases 25.11.9 and 23.10.29; the actions are in
`fake_anki.actions`. What a client does not see at once:

* The socket is closed after every reply, without a `Connection: close`: a client that keeps connections and
  sends a second request on one loses it.
* Requests are dealt with one after another, at most one in each tick of a clock.
* A body is what `Content-Length: N` says, with exactly this one space. A chunked body is read as none.
* A request that is sent in part holds up all others until it is given up.
* An error has the status 200.
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
    AddOnVersion,
    Anki,
    Asked,
    Costs,
    Envelope,
    Json,
)
from fake_anki.collection import AnkiCollection, AnkiNote
from fake_anki.memory import MemoryCollection

BANNER = b"AnkiConnect v.6"
# Web pages from here may ask; a client that is no browser sends no Origin at all.
ALLOWED_ORIGIN = "http://localhost"
# How long a connection stays open after its reply, in seconds: long enough for a client to fall for it.
_LINGER = 0.025
# How often a request that is not complete looks whether the server is to stop, in seconds.
_LOOK = 0.05


@attrs.frozen
class AnkiRefusal:
    """A fault: the whole request is answered with an error, as the add-on words it, and nothing is done.

    To have one action fail, within `multi` too, use `AnkiServer.refuse`.

    Attributes:
        error: What it says, such as `"collection is not available"`.
    """

    error: str

    def apply(self, exchange: Exchange) -> None:
        """Answer so."""
        exchange.send(Reply.of_json({"result": None, "error": self.error}))


def asks_for(action: str) -> Callable[[Received], bool]:
    """Return what tells the requests for one action, for the `when` of `AnkiServer.fail`."""

    def asks(received: Received) -> bool:
        try:
            request = received.json()
        except ValueError:
            return False
        return isinstance(request, dict) and request.get("action") == action

    return asks


class AnkiServer(LocalServer):
    """Anki with the add-on, on a free port of this machine, for as long as a `with` lasts.

    `stop()` is an Anki that is closed: connections are refused. `start()` brings it back at the same address,
    with the same collection.

    Attributes:
        anki: The state of Anki, which may be changed at any time: `server.anki.profile_open = False`.
        tick: Seconds from one request to the next.
        patience: Seconds without a byte after which a request that is not complete is given up.
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
        """Prepare a server; nothing listens yet.

        Args:
            collection: The collection; by default a new one in memory, which ends with the `with`.
            version: The release of the add-on.
            key: The key that a client must give.
            tick: Seconds from one request to the next.
            costs: How long Anki is busy; by default no time at all. `MEASURED` is what it really takes.
            browser_open: Whether the window "Browse" is open: then 25.11.9 puts some cards into the wrong deck.
            anki_version: As which Anki the collection behaves, if it is made here.
            profile: The name of the profile.
            profiles: The names of all profiles, if there are others.
            profile_open: Whether the profile is loaded.
            load_takes: How many actions still find no collection after `loadProfile`.
            logged_in: Whether there is an account to synchronise with.
            protocol: The version of the protocol that the action `version` gives.
            patience: Seconds without a byte after which a request that is not complete is given up.
            port: Where to listen; 0 for any free one.
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
        """The collection, for whatever is not here."""
        return self.anki.collection

    @property
    def asked(self) -> list[Asked]:
        """The actions that were asked for, in order, those within `multi` after it."""
        return self._envelope.asked

    def notes(self) -> list[AnkiNote]:
        """Return all notes with their fields, tags and cards; each card knows its deck."""
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
        """Have an action fail with an error, whether it comes alone or within `multi`.

        Args:
            action: Its name.
            error: What the add-on says.
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
        """Answer as the add-on."""
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
        """Be busy for a while, but not once the server stops."""
        self.stopping.wait(seconds)

    def _accept(self, listener: socket.socket) -> None:
        """Do everything: connections, requests and replies, one thing after another, as Anki's own thread does."""
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
        """Wait for something to do; meanwhile close the connections that were answered a while ago."""
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
        """Read one request; until it is there, or given up, nothing else is done."""
        data = bytearray()
        while b"\r\n\r\n" not in data:
            data += self._more(connection)
        start, _, body = bytes(data).partition(b"\r\n\r\n")
        at = time.monotonic()
        first, *lines = start.decode("latin-1").split("\r\n")
        method, _, target = first.partition(" ")
        # A header without a space after its colon is none.
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
                raise ConnectionResetError("The request ends before its end.")
            connection.settimeout(None)
            return data
        raise ConnectionAbortedError("The server stops.")


@attrs.define
class _Connection:
    """A connection, and what became of it.

    Attributes:
        connection: The socket.
        answered_at: When it got its reply, by `time.monotonic()`.
        expects_more: Whether the client may still be sending what was not read.
    """

    connection: socket.socket
    answered_at: float | None = None
    expects_more: bool = False


class _Exchange(Exchange):
    """One request: that the connection ends after it, the reply does not say."""

    def __init__(self, server: LocalServer, received: Received, connection: socket.socket) -> None:
        super().__init__(server, received, connection)
        self.closing = False

    def send(self, reply: Reply) -> None:
        self.write(head(reply.status, {**reply.headers, "Content-Length": str(len(reply.body))}) + reply.body)


def _reply(value: Json) -> Reply:
    headers = {"Content-Type": "application/json", "Access-Control-Allow-Origin": ALLOWED_ORIGIN}
    return Reply(200, json.dumps(value).encode(), headers)


def _denial(received: Received) -> Reply:
    """Answer a web page from elsewhere: no, in words where it asks, and else without any."""
    if not asks_for("requestPermission")(received):
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
    """Deal with what comes after a reply: the end, the rest of a request, or another one, which is lost."""
    if key.data.expects_more:
        with suppress(OSError):
            if key.data.connection.recv(1 << 16):
                return
    # Closed with something unread in it, it is reset.
    _close(polled, key)


def _close(polled: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    polled.unregister(key.fileobj)
    key.data.connection.close()
