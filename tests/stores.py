"""What tests of the store do as builds do it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from deckwright.store import Asked, Kept, Limit, Place, Run, Store

VOICE = ("audio", "voice", "openai")
SOUND = b"ID3 sound"


def ask(
    run: Run,
    key: str,
    amount: float | None = 0.5,
    limits: Sequence[Limit] = (),
    *,
    names: tuple[str, str, str] = VOICE,
    is_resumable: bool = False,
    is_over: Callable[[], bool] | None = None,
) -> Asked | Limit | Kept | None:
    """Ask for a key; return None when it has to wait, unless `is_over` says for how long it may."""
    looks = iter((False, True))
    return run.ask(
        key,
        names,
        lambda: amount,
        limits,
        is_resumable=is_resumable,
        is_over=is_over or (lambda: next(looks)),
    )


def asked(run: Run, key: str, amount: float | None = 0.5, *, is_resumable: bool = False) -> Asked:
    """Ask for a key of which it is sure that it may be asked for."""
    request = ask(run, key, amount, is_resumable=is_resumable)
    assert isinstance(request, Asked)
    return request


def keep(
    run: Run,
    key: str,
    data: bytes = SOUND,
    *,
    request: Asked | None = None,
    cost: float | None = None,
    deck: str = "",
    names: tuple[str, str, str] = VOICE,
) -> Kept:
    """Keep a sound that holds this data."""
    file = run.new_file(".mp3")
    file.write_bytes(data)
    return run.keep(
        file, ".mp3", key, names,
        content="hola", place=Place(deck), attribution="by Ana", cost=cost, charged=cost, request=request,
    )  # fmt: skip


def path_of(store: Store, kept: Kept) -> Path:
    """Return where the file of a result is."""
    return Path(store.file(kept))


def kill_a_run(store: Store, key: str, *, id: str = "killed", deck: str = "Fruit", is_kept: bool) -> Path:
    """Leave what a build leaves behind that is killed: as it asked for a key, or right after it kept the result.

    Returns:
        The file that it was at.
    """
    now = datetime.now().astimezone()
    store.ledger.begin(id, deck, now.timestamp())
    answer = store.ledger.ask(Asked(f"{id} {key}"), key, id, VOICE, 0.5, (), now, is_resumable=False)
    assert isinstance(answer, Asked)
    file = store.work_of(id) / "new-1.mp3"
    file.parent.mkdir()
    store.lock_of(id).touch()
    file.write_bytes(SOUND)
    if is_kept:
        made = Kept(
            key=key, name="deckwright-0123456789abcdef0123.mp3", work=file.relative_to(store.folder).as_posix(),
            bytes=len(SOUND), type="audio", content="hola", instance="voice", provider="openai", deck="",
            attribution="", cost=0.25, made_at=time.time(), run=id,
        )  # fmt: skip
        store.ledger.keep(made, answer.id, 0.25)
    return file
