"""What tests of the store do as builds do it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from deckwright.store import (
    AlreadyCached,
    CacheEntry,
    Limit,
    LimitReached,
    ProviderRef,
    Reservation,
    Run,
    Store,
)
from deckwright.store.cache_entries import Selection
from deckwright.store.folder import RunRecord

VOICE = ProviderRef("audio", "voice", "openai")
SOUND = b"ID3 sound"


def reserve(
    run: Run,
    key: str,
    amount: float | None = 0.5,
    limits: Sequence[Limit] = (),
    *,
    provider: ProviderRef = VOICE,
    is_resumable: bool = False,
    is_stopping: Callable[[], bool] | None = None,
) -> Reservation | AlreadyCached | LimitReached | None:
    """Reserve for a key; return None when it has to wait, unless `is_stopping` says for how long it may."""
    attempts = iter((False, True))
    return run.reserve(
        key,
        provider,
        lambda: amount,
        limits,
        is_resumable=is_resumable,
        is_stopping=is_stopping or (lambda: next(attempts)),
    )


def reserved(run: Run, key: str, amount: float | None = 0.5, *, is_resumable: bool = False) -> Reservation:
    """Reserve for a key that certainly may be requested."""
    reservation = reserve(run, key, amount, is_resumable=is_resumable)
    assert isinstance(reservation, Reservation)
    return reservation


def record(
    run: Run,
    key: str,
    data: bytes = SOUND,
    *,
    reservation: Reservation | None = None,
    cost: float | None = None,
    deck: str = "",
    provider: ProviderRef = VOICE,
) -> CacheEntry:
    """Record a sound that holds this data."""
    file = run.new_file(".mp3")
    file.write_bytes(data)
    entry = CacheEntry(
        key=key,
        type=provider.type,
        instance=provider.instance,
        provider=provider.name,
        content="hola",
        deck=deck,
        attribution="by Ana",
        cost=cost,
    )
    return run.record(file, ".mp3", entry, cost, reservation)


def path_of(store: Store, entry: CacheEntry) -> Path:
    """Return the path of the file of an entry."""
    return Path(store.file(entry))


def all_entries(store: Store) -> list[CacheEntry]:
    """Return every entry of a store."""
    return [entry for entry, _ in store.entries.select(Selection())]


def kill_a_run(store: Store, key: str, *, id: str = "killed", deck: str = "Fruit", is_recorded: bool) -> Path:
    """Leave what a killed build leaves: killed as it sent a request for a key, or right after it recorded the result.

    Returns:
        The file that it was making.
    """
    now = datetime.now().astimezone()
    store.begin(RunRecord(id, deck, now.timestamp()))
    reservation = store.ledger.reserve(f"{id} {key}", key, id, VOICE, 0.5, (), now, is_resumable=False)
    assert isinstance(reservation, Reservation)
    file = store.run_folder(id) / "new-1.mp3"
    file.parent.mkdir()
    store.run_lock(id).touch()
    file.write_bytes(SOUND)
    if is_recorded:
        entry = CacheEntry(
            key=key, name="deckwright-0123456789abcdef0123.mp3", work=file.relative_to(store.folder).as_posix(),
            bytes=len(SOUND), type="audio", content="hola", instance="voice", provider="openai", deck="",
            attribution="", cost=0.25, made_at=time.time(), run=id,
        )  # fmt: skip
        store.ledger.record(entry, 0.25, reservation)
    return file
