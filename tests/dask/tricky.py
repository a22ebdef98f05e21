"""A plugin whose provider does what the word says, in any process."""

from __future__ import annotations

import os
import threading
from datetime import datetime, timezone
from typing import Any

from deckwright import (
    MediaProvider,
    MediaRequest,
    MediaResult,
    NotFoundError,
    ProviderInfo,
    QuotaError,
    RateLimitedError,
    Traits,
    TransientError,
    hookimpl,
)
from deckwright.testing.servers.samples import mp3

RESETS_AT = datetime(2030, 1, 2, 3, 4, tzinfo=timezone.utc)


class OwnError(NotFoundError):
    """A class that only this plugin has, and that cannot be made again from its message."""

    def __init__(self, word: str, where: str) -> None:
        super().__init__(f"no {word} in {where}", hint="Look elsewhere.")
        self.where = where
        self.lock = threading.Lock()  # which cannot be pickled


class Tricky(MediaProvider):
    supported_types = ("audio",)
    at_once = 4  # type: ignore[assignment]

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        word = request.content
        if word == "transient":
            raise TransientError("it broke", reply_lost=True, hint="Wait.")
        if word == "limited":
            raise RateLimitedError("slower", retry_after=2.5)
        if word == "quota":
            raise QuotaError("spent", resets_at=RESETS_AT)
        if word == "own":
            raise OwnError(word, "this book")
        if word == "secret":
            raise NotFoundError(f"nothing for {self.config['api_key']}")
        if word == "bug":
            raise LookupError("a fault")
        if word == "die":
            os._exit(9)
        target = request.target.with_suffix(".mpeg")
        target.write_bytes(mp3(word))
        metadata: dict[str, Any] = {"seconds": 0.5, "pid": os.getpid(), "folder": str(target.parent)}
        if word == "unsendable":
            metadata["lock"] = threading.Lock()
        return MediaResult(True, target, metadata)


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    return [
        ProviderInfo("audio", "tricky"),
        ProviderInfo("audio", "service", traits=Traits(requests_per_item=1)),
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> Any:
    return Tricky(config)
