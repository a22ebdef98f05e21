"""A workshop: builds whose providers come from a plugin that is a file, so that what they make is kept.

The file says who is there. What they do, a test says by a `Desk` for each, and sees there what they were asked for.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from deckwright import (
    BuildReport,
    Deck,
    MediaProvider,
    MediaRequest,
    MediaResult,
    ProviderInfo,
    SyncProvider,
    SyncResult,
    Traits,
    build_deck,
)

# Seconds after which what should happen at once has not.
DEADLINE = 10.0
PLUGIN = """
import workshop
from deckwright import hookimpl

@hookimpl
def describe_media_providers():
    return workshop.described()

@hookimpl
def register_media_provider(type, name, config):
    return workshop.made(type, name, config)

@hookimpl
def media_generated(request, result):
    for hear in workshop.LISTENERS:
        hear(request, result)
"""


@attrs.define
class Settings:
    """Settings of which one changes what is made, and two do not."""

    voice: str = "ana"
    api_key: str = "the-first-key"
    timeout: float = attrs.field(default=1.0, metadata={"changes_output": False})
    cost_limits: Mapping[str, float] = attrs.field(factory=dict, metadata={"changes_output": False})


@attrs.define(eq=False)
class Desk:
    """Where a provider works.

    Attributes:
        type: What it delivers.
        make: Called with a request and the provider's settings; returns the file's bytes or a result, or raises.
        at_once: How many requests it takes at once.
        price: What one costs, as it says beforehand and charges, in US dollars.
        traits: What is described of it.
        by_word: Whether it looks at nothing but the word.
        settings: Its settings in the configuration.
        requests: What it was asked for.
        most: How many requests were at work at the same time, at most.
    """

    type: str
    make: Callable[[MediaRequest, Settings], Any]
    at_once: int = 1
    price: float = 0.0
    traits: Traits = attrs.field(factory=Traits)
    by_word: bool = False
    settings: dict[str, Any] = attrs.field(factory=dict)
    requests: list[MediaRequest] = attrs.field(factory=list)
    most: int = 0
    _at_work: int = 0
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def asked(self) -> list[str]:
        """Return what it was asked for since this was last called, in the order of the alphabet."""
        with self._lock:
            words = sorted(request.content for request in self.requests)
            self.requests.clear()
        return words

    def work(self, request: MediaRequest, settings: Settings) -> MediaResult:
        """Make what is asked for."""
        with self._lock:
            self.requests.append(request)
            self._at_work += 1
            self.most = max(self.most, self._at_work)
        try:
            made = self.make(request, settings)
        finally:
            with self._lock:
                self._at_work -= 1
        if not isinstance(made, bytes):
            return made  # type: ignore[no-any-return]
        request.target.write_bytes(made)
        return MediaResult(True, request.target, {"cost": self.price} if self.price else {})


class Worker(MediaProvider):
    """A provider that does what its desk says."""

    supported_types = ("audio", "image")
    config_class = Settings
    desk: Desk

    @property
    def at_once(self) -> int:
        return self.desk.at_once

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        about = super().cache_key(request)
        return {**about, "params": {}} if self.desk.by_word else about

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        each = self.desk.price
        return {"total_cost": each * len(requests), "per_request": each, "requests_count": len(requests)}

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        return self.desk.work(request, self.settings)


class Shelf(SyncProvider):
    """A place for decks to go to that keeps the last one, with the content of its media."""

    decks: list[tuple[Deck, dict[str, bytes]]] = []  # noqa: RUF012 - of whichever test runs

    def _test_connection_impl(self) -> bool:
        return True

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        raise AssertionError("a shelf takes whole decks")

    def sync_deck(self, deck: Deck) -> SyncResult:
        self.decks[:] = [(deck, {path.name: path.read_bytes() for path in deck.media})]
        return SyncResult(True, len(deck.notes))


# Of whichever test runs: who is there, who hears of what was made, and what a further plugin of the test notes down.
DESKS: dict[tuple[str, str], Desk] = {}
LISTENERS: list[Callable[[MediaRequest, MediaResult], None]] = []
NOTES: list[str] = []


def described() -> list[ProviderInfo]:
    """Describe who is there."""
    return [
        ProviderInfo("sync", "shelf"),
        *(
            ProviderInfo(type, name, config_class=Settings, traits=desk.traits)
            for (type, name), desk in DESKS.items()
        ),
    ]


def made(type: str, name: str, config: Mapping[str, Any]) -> Any:
    """Return a provider."""
    if (type, name) == ("sync", "shelf"):
        return Shelf(config)
    if desk := DESKS.get((type, name)):
        worker = Worker(config)
        worker.desk = desk
        return worker
    return None


def sound(request: MediaRequest, settings: Settings) -> bytes:
    """Speak a word."""
    return f"ID3 {request.content} by {settings.voice}".encode()


def picture(request: MediaRequest, settings: Settings) -> bytes:
    """Draw a word."""
    return f"GIF89a {request.content} by {settings.voice};".encode()


def refusing(error: Exception, *words: str) -> Callable[[MediaRequest, Settings], bytes]:
    """Return what raises an error for some words, or for all, and makes the others."""

    def make(request: MediaRequest, settings: Settings) -> bytes:
        if not words or request.content in words:
            raise error
        return (sound if request.type == "audio" else picture)(request, settings)

    return make


class Workshop:
    """Builds decks with the providers that were hired, asked in that order.

    Args:
        folder: Where the plugin is.
        store: Where what is made is kept.
    """

    def __init__(self, folder: Path, store: Path) -> None:
        self.plugin = folder / "staff.py"
        self.plugin.write_text(PLUGIN, encoding="utf-8")
        self.store = store
        DESKS.clear()
        NOTES.clear()
        LISTENERS.clear()

    def hears(self, heard: Callable[[MediaRequest, MediaResult], None]) -> None:
        """Have a function called with all that plugins are told."""
        LISTENERS.append(heard)

    def voice(self, name: str = "voice", make: Any = sound, **options: Any) -> Desk:
        """Hire a provider of sound."""
        return self._hire("audio", name, make, options)

    def artist(self, name: str = "artist", make: Any = picture, **options: Any) -> Desk:
        """Hire a provider of pictures."""
        return self._hire("image", name, make, options)

    def _hire(self, type: str, name: str, make: Any, options: dict[str, Any]) -> Desk:
        desk = DESKS[type, name] = Desk(type, make, **options)
        return desk

    def config(self, **sections: Any) -> dict[str, Any]:
        """Return the configuration."""
        providers: dict[str, dict[str, Any]] = {
            "audio": {},
            "image": {},
            "sync": {"shelf": {"pipelines": ["*"]}},
        }
        for (type, name), desk in DESKS.items():
            providers[type][name] = {"pipelines": ["*"], **desk.settings}
        plugins = {"paths": [str(self.plugin)], "installed": False, **sections.pop("plugins", {})}
        more = sections.pop("providers", {})
        return {"providers": {**providers, **more}, "plugins": plugins, **sections}

    def build(self, words: Any, *, config: Mapping[str, Any] | None = None, **options: Any) -> BuildReport:
        """Build a deck."""
        options = {"language": "es", **options}
        return build_deck(words, config=config or self.config(), **options)

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the last deck."""
        [(_, files)] = Shelf.decks
        return files

    def query(self, statement: str, *values: Any) -> list[Any]:
        """Ask or change the ledger."""
        with closing(sqlite3.connect(self.store / "ledger.sqlite")) as ledger, ledger:
            return ledger.execute(statement, values).fetchall()
