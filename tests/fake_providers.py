"""Builds with fake providers. They come from a plugin that is a file, so that their results are cached.

A test adds a `FakeProvider` for each: it says what the provider does, and records the requests.
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
import fake_providers
from deckwright import hookimpl

@hookimpl
def describe_media_providers():
    return fake_providers.describe()

@hookimpl
def register_media_provider(type, name, config):
    return fake_providers.create(type, name, config)

@hookimpl
def media_generated(request, result):
    for observe in fake_providers.OBSERVERS:
        observe(request, result)
"""


@attrs.define
class Settings:
    """Settings of which one changes what is made, and two do not."""

    voice: str = "ana"
    api_key: str = "the-first-key"
    timeout: float = attrs.field(default=1.0, metadata={"changes_output": False})
    cost_limits: Mapping[str, float] = attrs.field(factory=dict, metadata={"changes_output": False})


@attrs.define(eq=False)
class FakeProvider:
    """What a provider does, and what it was asked for.

    Attributes:
        type: What it delivers.
        make: Called with a request and the provider's settings; returns the file's bytes or a result, or raises.
        at_once: How many requests it takes at once.
        price: The price of one, estimated and charged, in US dollars.
        traits: What its plugin says about it.
        by_word: Whether its result depends on the word only.
        settings: Its settings in the configuration.
        requests: The requests that it got.
        most: How many requests were in flight at the same time, at most.
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

    def requested(self) -> list[str]:
        """Return the words that were requested since the last call, sorted."""
        with self._lock:
            words = sorted(request.content for request in self.requests)
            self.requests.clear()
        return words

    def generate(self, request: MediaRequest, settings: Settings) -> MediaResult:
        """Carry out a request."""
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


class FakeMediaProvider(MediaProvider):
    """A provider that does what a `FakeProvider` says."""

    supported_types = ("audio", "image")
    config_class = Settings
    fake: FakeProvider

    @property
    def at_once(self) -> int:
        return self.fake.at_once

    def cache_key(self, request: MediaRequest) -> Mapping[str, Any]:
        about = super().cache_key(request)
        return {**about, "params": {}} if self.fake.by_word else about

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        each = self.fake.price
        return {"total_cost": each * len(requests), "per_request": each, "requests_count": len(requests)}

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        return self.fake.generate(request, self.settings)


class FakeTarget(SyncProvider):
    """A target that keeps the last deck, with the content of its media."""

    decks: list[tuple[Deck, dict[str, bytes]]] = []  # noqa: RUF012 - of the test that runs

    def _test_connection_impl(self) -> bool:
        return True

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        raise AssertionError("this target takes whole decks")

    def sync_deck(self, deck: Deck) -> SyncResult:
        self.decks[:] = [(deck, {path.name: path.read_bytes() for path in deck.media})]
        return SyncResult(True, len(deck.notes))


# Of the test that runs: its providers, its observers, and what another plugin of the test records.
PROVIDERS: dict[tuple[str, str], FakeProvider] = {}
OBSERVERS: list[Callable[[MediaRequest, MediaResult], None]] = []
NOTES: list[str] = []


def describe() -> list[ProviderInfo]:
    """Describe all providers."""
    return [
        ProviderInfo("sync", "target"),
        *(
            ProviderInfo(type, name, config_class=Settings, traits=fake.traits)
            for (type, name), fake in PROVIDERS.items()
        ),
    ]


def create(type: str, name: str, config: Mapping[str, Any]) -> Any:
    """Return a provider."""
    if (type, name) == ("sync", "target"):
        return FakeTarget(config)
    if fake := PROVIDERS.get((type, name)):
        provider = FakeMediaProvider(config)
        provider.fake = fake
        return provider
    return None


def sound(request: MediaRequest, settings: Settings) -> bytes:
    """Speak a word."""
    return f"ID3 {request.content} by {settings.voice}".encode()


def picture(request: MediaRequest, settings: Settings) -> bytes:
    """Draw a word."""
    return f"GIF89a {request.content} by {settings.voice};".encode()


def raising(error: Exception, *words: str) -> Callable[[MediaRequest, Settings], bytes]:
    """Return a function that raises an error for some words, or for all, and makes the others."""

    def make(request: MediaRequest, settings: Settings) -> bytes:
        if not words or request.content in words:
            raise error
        return (sound if request.type == "audio" else picture)(request, settings)

    return make


class DeckBuilder:
    """Builds decks with the providers that were added, asked in that order.

    Args:
        folder: The folder for the plugin.
        store: The folder of the store.
    """

    def __init__(self, folder: Path, store: Path) -> None:
        self.plugin = folder / "fake_plugin.py"
        self.plugin.write_text(PLUGIN, encoding="utf-8")
        self.store = store
        PROVIDERS.clear()
        NOTES.clear()
        OBSERVERS.clear()

    def observe(self, observer: Callable[[MediaRequest, MediaResult], None]) -> None:
        """Have a function called with everything that plugins observe."""
        OBSERVERS.append(observer)

    def add_voice(self, name: str = "voice", make: Any = sound, **options: Any) -> FakeProvider:
        """Add a provider of sound."""
        return self._add("audio", name, make, options)

    def add_artist(self, name: str = "artist", make: Any = picture, **options: Any) -> FakeProvider:
        """Add a provider of pictures."""
        return self._add("image", name, make, options)

    def _add(self, type: str, name: str, make: Any, options: dict[str, Any]) -> FakeProvider:
        fake = PROVIDERS[type, name] = FakeProvider(type, make, **options)
        return fake

    def config(self, **sections: Any) -> dict[str, Any]:
        """Return the configuration."""
        providers: dict[str, dict[str, Any]] = {
            "audio": {},
            "image": {},
            "sync": {"target": {"pipelines": ["*"]}},
        }
        for (type, name), fake in PROVIDERS.items():
            providers[type][name] = {"pipelines": ["*"], **fake.settings}
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
        [(_, files)] = FakeTarget.decks
        return files

    def query(self, statement: str, *values: Any) -> list[Any]:
        """Query or change the ledger."""
        with closing(sqlite3.connect(self.store / "ledger.sqlite")) as ledger, ledger:
            return ledger.execute(statement, values).fetchall()
