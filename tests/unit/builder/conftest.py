from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from fake_providers import DeckBuilder

from deckwright import (
    BuildReport,
    Deck,
    MediaProvider,
    MediaRequest,
    MediaResult,
    SyncProvider,
    SyncResult,
    build_deck,
    hookimpl,
)


class FakeTarget(SyncProvider):
    """A target that keeps the last deck, with the content of its media."""

    deck: Deck
    files: dict[str, bytes]

    def _test_connection_impl(self) -> bool:
        return True

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        raise AssertionError("this target takes whole decks")

    def sync_deck(self, deck: Deck) -> SyncResult:
        self.deck = deck
        self.files = {path.name: path.read_bytes() for path in deck.media}
        return SyncResult(True, len(deck.notes))


class FakeProvider(MediaProvider):
    """Delivers what a function makes of the request: bytes, or a result, or an error that it raises."""

    supported_types = ("audio", "image")

    def __init__(self, make: Callable[[MediaRequest], Any]) -> None:
        super().__init__()
        self.make = make
        self.requests: list[MediaRequest] = []

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        self.requests.append(request)
        made = self.make(request)
        if not isinstance(made, bytes):
            return made
        assert request.output_path is not None
        request.output_path.write_bytes(made)
        return MediaResult(True, request.output_path)


class FakePlugin:
    """A plugin with the providers that a test gave it."""

    def __init__(self, providers: Mapping[tuple[str, str], Any]) -> None:
        self.providers = providers
        self.seen: list[tuple[MediaRequest, MediaResult]] = []

    @hookimpl
    def register_media_provider(self, type: str, name: str) -> Any:
        return self.providers.get((type, name))

    @hookimpl
    def media_generated(self, request: MediaRequest, result: MediaResult) -> None:
        self.seen.append((request, result))


@attrs.frozen
class Built:
    report: BuildReport
    deck: Deck
    files: dict[str, bytes]
    seen: list[tuple[MediaRequest, MediaResult]]

    def field(self, name: str) -> list[str]:
        """Return one field of every note."""
        return [note.fields[name] for note in self.deck.notes]


@pytest.fixture
def build() -> Callable[..., Built]:
    """Builds a deck with these providers of sound and pictures, by instance, in order."""

    def build(
        words: Any,
        audio: Mapping[str, Any] | None = None,
        image: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Built:
        target = FakeTarget()
        given: dict[str, Mapping[str, Any]] = {
            "audio": audio or {},
            "image": image or {},
            "sync": {"target": target},
        }
        plugin = FakePlugin(
            {(type, name): provider for type, named in given.items() for name, provider in named.items()}
        )
        providers = {type: {name: {"pipelines": ["*"]} for name in named} for type, named in given.items()}
        providers["data"] = {"csv": {"pipelines": ["*"]}, "json": {"pipelines": ["*"]}}
        options = {"language": "es", "config": {"providers": providers, **(config or {})}, **options}
        report = build_deck(words, plugins=[plugin], **options)
        return Built(report, target.deck, target.files, plugin.seen)

    return build


@pytest.fixture
def fake_provider() -> type[FakeProvider]:
    return FakeProvider


@pytest.fixture
def builder(tmp_path: Path, store: Path) -> DeckBuilder:
    """Builds with providers whose results are cached, since their plugin is a file."""
    return DeckBuilder(tmp_path, store)
