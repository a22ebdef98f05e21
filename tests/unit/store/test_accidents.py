"""The store after accidents: the folder as a kill leaves it at each step, and two builds that do the same at once."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import attrs
import pytest
from stores import SOUND, VOICE, all_entries, path_of, record, reserve, reserved

from deckwright.store import CacheEntry, Limit, LimitReached, Reservation, Run, Store, StoreError
from deckwright.store.folder import RunRecord

Open = Callable[[], Store]


def is_whole(store: Store, kept: CacheEntry) -> bool:
    """Say whether the file of a result is what its name says."""
    return sha256(path_of(store, kept).read_bytes()).hexdigest()[:20] in kept.name


def steps_of_a_build(folder: Path) -> Iterator[tuple[str, int, float, int]]:
    """Build in a store, and stop after each step.

    Yields:
        What was done, how many results must be there by then, what they cost, and how many requests are in flight.
    """
    with Store(folder) as store:
        yield "the store is opened", 0, 0.0, 0
        with Run(store, "Fruit") as run:
            yield "the run has begun", 0, 0.0, 0
            request = reserved(run, "one", 0.5)
            yield "one is asked for", 0, 0.0, 1
            new = run.new_file(".mp3")
            new.with_name(".part").write_bytes(SOUND[:3])
            yield "one is there in part", 0, 0.0, 1
            new.with_name(".part").replace(new)
            new.write_bytes(SOUND)
            yield "one is there", 0, 0.0, 1
            move, store.move = store.move, lambda kept: False  # type: ignore[method-assign]
            record(run, "one", reservation=request, cost=0.4)
            yield "one is in the ledger", 1, 0.4, 0
            store.move = move  # type: ignore[method-assign]
            another = reserved(run, "two", 0.5)
            record(run, "two", SOUND + b" of two", reservation=another, cost=0.3)
            yield "two is in its place", 2, 0.7, 0
            refused = reserved(run, "three", 0.5)
            run.settle(refused, 0.0, is_lost=False)
            yield "three is refused", 2, 0.7, 0
            reserved(run, "four", 0.5)
            yield "four is asked for", 2, 0.7, 1
            store.entries.mark_moved("no run")
            assert all(store.move(kept) for kept in all_entries(store))
            yield "all are in their places", 2, 0.7, 1
            store.entries.mark_moved(run.id)
            shutil.rmtree(run.folder)
            yield "the run's folder is gone", 2, 0.7, 1
            store.end(run.id)
            yield "the run is over", 2, 0.7, 1
        yield "its lock is gone", 2, 0.7, 1
    yield "the store is closed", 2, 0.7, 1


def test_a_kill_at_any_step_loses_nothing_that_was_recorded_and_accounts_for_every_dollar(
    tmp_path: Path,
) -> None:
    for number, (step, kept, cost, in_flight) in enumerate(steps_of_a_build(tmp_path / "store")):
        left = tmp_path / f"left {number}"
        # As a kill would leave it: nobody has closed anything.
        shutil.copytree(tmp_path / "store", left)
        with Store(left) as store:
            found = all_entries(store)
            assert len(found) == kept, step
            assert all(is_whole(store, each) for each in found), step
            assert os.listdir(left / "runs") == [], step
            assert store.runs() == [], step
            spent = store.ledger.usage()
            assert spent.settled == pytest.approx(cost + 0.5 * in_flight), step
            assert spent.reserved == pytest.approx(0), step
            states = store.ledger.count_requests()
            assert sum(count for (_, state), count in states.items() if state == "lost") == in_flight, step
            assert sum(count for (_, state), count in states.items() if state == "asked") == 0, step
            assert not [path for path in left.rglob("*") if path.name.endswith(".part")], step


def test_of_two_that_record_the_same_the_second_gets_what_the_first_has_recorded(open_store: Open) -> None:
    with Run(open_store(), "Fruit") as first, Run(open_store(), "Trees") as second:
        one = record(first, "k")
        first.store.finish(first.id)  # so that it is known to be in its place
        two = record(second, "k", SOUND + b" of another")
        assert two.name == one.name
        assert path_of(second.store, two).read_bytes() == SOUND
    assert path_of(first.store, one).read_bytes() == SOUND


def test_a_request_that_is_resumed_says_when_it_was_last_made(opened: Store) -> None:
    began = datetime.now(timezone.utc)
    for number, before in enumerate([None, 0, 1, 2]):
        run = f"run {number}"
        opened.begin(RunRecord(run, "Fruit", time.time()))
        again = opened.ledger.reserve(
            f"id {number}",
            "k",
            run,
            VOICE,
            0.5,
            [],
            began + timedelta(hours=number),
            is_resumable=True,
        )
        assert isinstance(again, Reservation)
        assert again.id == "id 0"
        assert again.sent_before == (
            None if before is None else (began + timedelta(hours=before)).timestamp()
        )
        opened.end(run)
    assert opened.ledger.usage().settled == pytest.approx(0.5)


def test_a_clock_that_is_put_back_grants_no_money_again(opened: Store) -> None:
    now = datetime.now(timezone.utc)
    opened.begin(RunRecord("run", "Fruit", time.time()))
    opened.ledger.reserve("id", "k", "run", VOICE, 0.5, [], now, is_resumable=False)
    for earlier in (timedelta(), timedelta(days=1), timedelta(days=365)):
        spent = opened.ledger.usage(since=(now - earlier).date().isoformat())
        assert spent.reserved == pytest.approx(0.5)
    assert opened.ledger.usage(since=(now + timedelta(days=1)).date().isoformat()).reserved == 0


@pytest.mark.parametrize(
    "deleted", ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "runs", "lock"]
)
def test_what_somebody_deletes_of_a_killed_build_breaks_nothing_else(tmp_path: Path, deleted: str) -> None:
    steps = steps_of_a_build(tmp_path / "store")
    assert any(step == "four is asked for" for step, *_ in steps)
    left = tmp_path / "left"
    shutil.copytree(tmp_path / "store", left)
    steps.close()  # type: ignore[attr-defined]
    gone = left / deleted
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink(missing_ok=True)
    with Store(left) as store, Run(store, "Fruit") as run:
        found = [kept for kept in all_entries(store) if store.find(kept.key)]
        assert all(is_whole(store, kept) for kept in found)
        assert isinstance(reserve(run, "five", 0.5), Reservation)
        with closing(sqlite3.connect(left / "ledger.sqlite")) as ledger:
            assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_full_disk_is_reported_before_anything_is_asked_for(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = attrs.make_class("Usage", ["total", "used", "free"])
    with Run(opened, "Fruit") as run:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100_000_000, 99_000_000, 1_000_000))
        with pytest.raises(StoreError, match="no space left on the disk") as caught:
            reserve(run, "k")
        assert "Make room" in str(caught.value.hint)
        assert opened.ledger.count_requests() == {}


def test_a_request_that_is_resumed_is_held_against_the_limits_of_today(opened: Store) -> None:
    now = datetime.now(timezone.utc)
    tomorrow = now + timedelta(days=1)

    def resume(by: str, dollars: float, **limit: str) -> object:
        opened.begin(RunRecord(by, "Fruit", time.time()))
        limits = [Limit("limit", dollars, **limit)]
        return opened.ledger.reserve(by, "k", by, VOICE, 0.5, limits, tomorrow, is_resumable=True)

    opened.begin(RunRecord("killed", "Fruit", time.time()))
    opened.ledger.reserve("id", "k", "killed", VOICE, 0.5, [], now, is_resumable=True)
    opened.end("killed")
    assert isinstance(resume("poor", 0.1, run="poor"), LimitReached)
    assert isinstance(resume("late", 0.1, since=tomorrow.date().isoformat()), LimitReached)
    # Whom it was refused for, it has cost nothing; and it is not counted twice.
    assert opened.ledger.usage() == opened.ledger.usage(run="killed")
    again = resume("rich", 0.5)
    assert isinstance(again, Reservation)
    assert again.id == "id"
    assert opened.ledger.usage(since=tomorrow.date().isoformat()).reserved == pytest.approx(0.5)
    assert opened.ledger.usage().settled == pytest.approx(0)
