from __future__ import annotations

import importlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import attrs
import pytest

from deckwright import MediaRequest, MediaResult
from deckwright.testing.servers import LocalServer, Received, Reply
from deckwright.toolkit.http import HttpMediaProvider, HttpSettings, is_url

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Service(LocalServer):
    """Answers below `/api` with what it was asked, and elsewhere with its `files`, by the whole target."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, Reply] = {}

    def respond(self, received: Received) -> Reply:
        if received.path.startswith("/api"):
            return Reply.of_json({"path": received.path})
        return self.files.get(received.path, Reply(404))

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def paths(self) -> list[str]:
        return [received.path for received in self.requests]


@attrs.define(kw_only=True)
class Settings(HttpSettings):
    base_url: str = attrs.field(validator=is_url)
    api_key: str = "open-sesame"


class Birds(HttpMediaProvider):
    """A provider as a stranger may write it: what is asked for is the address of the file."""

    config_class = Settings
    supported_types = ("audio", "image")

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.settings.api_key}"}

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        return MediaResult(True, self.http.download(request.content, request.target, request.type))


class Waits(logging.Handler):
    """Notices that a client waits before another try."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.begun = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "Retrying" in record.getMessage():
            self.begun.set()


class _Shown(socket.socket):
    """A connection that tells another address than it is really connected to."""

    def __init__(self, address: str) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.address = address

    def getpeername(self) -> Any:
        return self.address, super().getpeername()[1]


class Internet:
    """Names of hosts, each with the addresses that it has at each look-up; the last are for good.

    Who connects to a public one of them comes to this machine. Addresses are as they are, and so is `localhost`.

    Attributes:
        names: By name, what each look-up finds.
        connected: The hosts that were connected to.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[Sequence[str]]] = {}
        self.connected: list[str] = []
        self._look_up = socket.getaddrinfo
        self._connect = socket.create_connection

    def look_up(self, host: str, port: int, *more: Any, **options: Any) -> Any:
        found: list[Sequence[str]] | None
        found = self.names.get(host, [[]] if host.endswith((".test", ".invalid")) else None)
        if found is None:
            return self._look_up(host, port, *more, **options)
        addresses = found.pop(0) if len(found) > 1 else found[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def connect(
        self, address: tuple[str, int], timeout: float | None = None, **options: Any
    ) -> socket.socket:
        host, port = address
        self.connected.append(host)
        if host not in self.names:
            return self._connect(address, timeout, **options)
        shown = self.look_up(host, port)[0][4][0]
        connection = _Shown(shown)
        connection.settimeout(timeout)
        try:
            connection.connect(("127.0.0.1", port))
        except OSError:
            connection.close()
            raise
        return connection


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def other_service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def birds(service: Service) -> Iterator[Callable[..., Birds]]:
    """Makes providers that speak to the service, and try once where nothing else is said."""
    with ExitStack() as stack:

        def make(kind: type[Birds] = Birds, **settings: Any) -> Birds:
            defaults = {"base_url": service.base_url, "max_retries": 0, "timeout": 10}
            return stack.enter_context(closing(kind({**defaults, **settings})))

        yield make


@pytest.fixture
def provider_class() -> type[Birds]:
    return Birds


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    internet = Internet()
    monkeypatch.setattr(socket, "getaddrinfo", internet.look_up)
    monkeypatch.setattr(socket, "create_connection", internet.connect)
    return internet


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes before another try, where the service does not ask for it."""
    client = importlib.import_module("deckwright.toolkit.http.client")
    monkeypatch.setattr(client, "_DEFAULT_BACKOFF", lambda state: 0.0)


@pytest.fixture
def waits() -> Iterator[Waits]:
    waits, logger = Waits(), logging.getLogger("deckwright.providers")
    level = logger.level
    logger.addHandler(waits)
    logger.setLevel(logging.DEBUG)
    yield waits
    logger.setLevel(level)
    logger.removeHandler(waits)
