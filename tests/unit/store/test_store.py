"""The store: what is kept is found, what was killed is put in order, and no dollar is spent unaccounted for."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from stores import SOUND, all_entries, kill_a_run, path_of, record, reserve, reserved

from deckwright.store import (
    AlreadyCached,
    CacheEntry,
    Limit,
    LimitReached,
    NegativeEntry,
    Reservation,
    Run,
    Store,
    StoreError,
)
from deckwright.store.cache_entries import Selection, file_path

Open = Callable[[], Store]
# How long what other threads do may take, in seconds, on a machine that is busy.
PATIENCE = 30


def files(store: Store) -> list[str]:
    """Return the files of sounds and pictures, from the store's folder on."""
    return sorted(
        file.relative_to(store.folder).as_posix()
        for file in store.folder.rglob("*.*")
        if not file.name.startswith("ledger.") and file.is_file()
    )


def spent(run: Run) -> tuple[float, float]:
    """Return what counts as spent in a run, and what is reserved."""
    found = run.store.ledger.usage(run=run.id)
    return pytest.approx(found.settled), pytest.approx(found.reserved)


# What is kept


def test_what_is_cached_is_found_by_the_next_build(open_store: Open) -> None:
    with open_store() as store, Run(store, "Fruit") as run:
        assert run.store.find("k") is None
        made = record(run, "k", cost=0.25, reservation=reserved(run, "k"))
    later = open_store()
    found = later.find("k")
    assert found is not None
    assert (found.name, found.cost, found.attribution, found.work) == (made.name, 0.25, "by Ana", "")
    assert path_of(later, found).read_bytes() == SOUND
    assert path_of(later, found).parent.parent == later.folder / "media"
    assert later.entries.find_name(found.name) == found
    assert files(later) == [path_of(later, found).relative_to(later.folder).as_posix()]


def test_results_that_are_the_same_to_the_byte_share_a_file(opened: Store) -> None:
    with Run(opened, "Fruit") as run:
        one, other, third = record(run, "a"), record(run, "b"), record(run, "c", b"ID3 another")
    assert one.name == other.name != third.name
    assert len(files(opened)) == 2
    assert opened.find("a") is not None
    assert opened.find("b") is not None


def test_what_is_for_one_deck_alone_has_a_place_of_its_own(opened: Store) -> None:
    with Run(opened, "Fruit") as run:
        shared, own, others = (
            record(run, "a"),
            record(run, "b", deck="Fruit"),
            record(run, "c", deck="../Odd: *?"),
        )
    paths = [path_of(opened, kept) for kept in (shared, own, others)]
    assert len({path.parent for path in paths}) == 3
    assert [path.relative_to(opened.folder).parts[0] for path in paths] == ["media", "decks", "decks"]
    assert all(path.read_bytes() == SOUND for path in paths)
    assert file_path("x", "Fruit") == file_path("x", "Fruit") != file_path("x", "Fruits")


def test_a_result_whose_file_somebody_deleted_is_asked_for_again(opened: Store) -> None:
    with Run(opened, "Fruit") as run:
        path_of(opened, record(run, "k")).unlink()
        assert isinstance(reserve(run, "k", is_stopping=lambda: False), Reservation)
    assert opened.find("k") is None
    assert opened.entries.find("k") is None


def test_a_file_of_the_providers_own_is_copied(opened: Store, tmp_path: Path) -> None:
    own = tmp_path / "cache.wav"
    own.write_bytes(SOUND)
    with Run(opened, "Fruit") as run:
        draft = CacheEntry("k", "audio", "voice", "openai", "hola", "", "", None)
        kept = run.record(run.import_file(own, ".wav"), ".wav", draft, None, None)
    assert own.read_bytes() == path_of(opened, kept).read_bytes() == SOUND
    assert kept.name.endswith(".wav")


def test_what_is_kept_temporarily_is_gone_with_its_run(opened: Store) -> None:
    with Run(opened, "Fruit") as run:
        file = run.new_file(".mp3")
        file.write_bytes(SOUND)
        kept = run.keep_temporarily(file, ".mp3")
        assert kept.read_bytes() == SOUND
    assert not kept.exists()
    assert files(opened) == []


def test_threads_that_keep_the_same_get_the_same(opened: Store) -> None:
    with Run(opened, "Fruit") as run, ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda number: record(run, f"k{number % 4}", b"ID3 %d" % (number % 4)), range(32))
        )
    assert {kept.key: kept.name for kept in made} == {kept.key: kept.name for kept in made[:4]}
    assert len(files(opened)) == len(all_entries(opened)) == 4


# Several builds at once, and those that are killed


def test_an_unfinished_move_of_another_build_is_finished_when_its_result_is_needed(opened: Store) -> None:
    work = kill_a_run(opened, "k", is_recorded=True)
    found = opened.find("k")
    assert found is not None
    assert path_of(opened, found).read_bytes() == SOUND
    assert not work.exists()


def test_what_a_killed_build_has_recorded_is_moved(opened: Store, open_store: Open) -> None:
    work = kill_a_run(opened, "k", is_recorded=True)
    (work.parent / "new-2.mp3").write_bytes(b"half of")
    later = open_store()
    kept = later.entries.find("k")
    assert kept is not None
    assert kept.work == ""
    assert path_of(later, kept).read_bytes() == SOUND
    assert files(later) == [path_of(later, kept).relative_to(later.folder).as_posix()]
    assert later.runs() == []
    assert later.ledger.costs(run="killed") == {"openai": 0.25}


def test_what_a_killed_build_had_asked_for_may_have_been_charged(opened: Store, open_store: Open) -> None:
    kill_a_run(opened, "k", is_recorded=False)
    later = open_store()
    assert later.ledger.count_requests() == {("openai", "lost"): 1}
    assert later.ledger.usage().reserved == pytest.approx(0)
    assert later.ledger.costs() == later.ledger.lost_costs() == {"openai": 0.5}
    assert list((later.folder / "runs").iterdir()) == []


def test_a_build_that_goes_on_is_let_alone(opened: Store, open_store: Open) -> None:
    with Run(opened, "Fruit") as run:
        request = reserved(run, "k")
        file = run.new_file(".mp3")
        file.write_bytes(SOUND)
        other = open_store()
        assert [each.id for each in other.runs()] == [run.id]
        assert other.ledger.count_requests() == {("openai", "asked"): 1}
        assert file.exists()
        record(run, "k", reservation=request)
        assert other.find("k") is not None
    assert other.runs() == []


def test_who_asks_for_what_another_build_makes_waits_and_gets_it(open_store: Open) -> None:
    with Run(open_store(), "Fruit") as first, Run(open_store(), "Trees") as second:
        request = reserved(first, "k")
        has_looked, deadline = threading.Event(), time.monotonic() + PATIENCE
        looks = iter(range(1_000_000))

        def is_stopping() -> bool:
            if next(looks):
                has_looked.set()
            return time.monotonic() > deadline

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(reserve, second, "k", is_stopping=is_stopping)
            assert has_looked.wait(PATIENCE)
            assert not waiting.done()
            made = record(first, "k", reservation=request, cost=0.25)
            got = waiting.result(PATIENCE)
        assert isinstance(got, AlreadyCached)
        assert (got.entry.name, path_of(second.store, got.entry).read_bytes()) == (made.name, SOUND)
        assert (spent(first), spent(second)) == ((0.25, 0), (0, 0))


def test_who_waits_for_a_build_that_is_killed_takes_over(opened: Store) -> None:
    with Run(opened, "Trees") as run:
        kill_a_run(opened, "k", is_recorded=False)
        deadline = time.monotonic() + PATIENCE
        assert isinstance(reserve(run, "k", is_stopping=lambda: time.monotonic() > deadline), Reservation)


def test_what_another_build_has_made_meanwhile_is_not_asked_for(open_store: Open) -> None:
    with Run(open_store(), "Fruit") as first, Run(open_store(), "Trees") as second:
        assert second.store.find("k") is None
        record(first, "k", reservation=reserved(first, "k"))
        assert isinstance(reserve(second, "k"), AlreadyCached)


# Requests of which nobody knows what became


def test_a_lost_request_is_resumed_where_that_costs_nothing(opened: Store) -> None:
    with Run(opened, "Fruit") as first:
        request = reserved(first, "k", 0.5)
        first.settle(request, None, is_lost=True)
        assert spent(first) == (0.5, 0)
    with Run(opened, "Fruit") as second:
        again = reserved(second, "k", 0.5, is_resumable=True)
        assert again.id == request.id
        assert again.sent_before is not None
        assert time.time() - PATIENCE < again.sent_before <= time.time()
        assert (spent(first), spent(second)) == ((0, 0), (0, 0.5))
        record(second, "k", reservation=again, cost=0.4)
        assert spent(second) == (0.4, 0)
    assert opened.ledger.costs() == {"openai": pytest.approx(0.4)}
    assert opened.ledger.count_requests() == {("openai", "answered"): 1}


def test_a_lost_request_that_cannot_be_resumed_counts_beside_the_new_one(opened: Store) -> None:
    with Run(opened, "Fruit") as run:
        request = reserved(run, "k", 0.5)
        run.settle(request, None, is_lost=True)
        again = reserved(run, "k", 0.5)
        assert (again.id == request.id, again.sent_before) == (False, None)
        record(run, "k", reservation=again, cost=0.4)
        assert spent(run) == (0.9, 0)
    assert opened.ledger.lost_costs() == {"openai": 0.5}


def test_a_request_that_a_run_leaves_open_is_lost_when_it_ends(opened: Store) -> None:
    with Run(opened, "Fruit") as run:
        reserved(run, "k", 0.5)
    assert opened.ledger.count_requests() == {("openai", "lost"): 1}
    assert spent(run) == (0.5, 0)


# Refusals


def test_a_refusal_is_remembered_until_it_is_too_old_or_there_is_a_result(opened: Store) -> None:
    refusal = NegativeEntry("NotFoundError", "No such word.", "Spell it otherwise.")
    with Run(opened, "Fruit") as run:
        run.store.entries.insert_negative("k", refusal, "openai", "")
        assert run.store.entries.find_negative("k", time.time() - 60) == refusal
        assert run.store.entries.find_negative("k", time.time() + 60) is None
        assert run.store.entries.find_negative("other", 0) is None
        record(run, "k")
        assert run.store.entries.find_negative("k", 0) is None


def test_refusals_are_forgotten_by_age_provider_and_deck(opened: Store) -> None:
    refusal, entries = NegativeEntry("NotFoundError", "None.", ""), opened.entries
    for key, provider, deck, at in (
        ("a", "forvo", "", 1.0),
        ("b", "forvo", "Fruit", 2.0),
        ("c", "x", "", 3.0),
    ):
        entries.insert_negative(key, refusal, provider, deck, at=at)
    assert entries.count_negative(Selection(before=3.0, provider="forvo")) == 2
    assert entries.remove_negative(Selection(deck="Fruit")) == 1
    assert entries.remove_negative(Selection(provider="forvo", before=1.0)) == 0
    assert entries.remove_negative(Selection(provider="forvo")) == 1
    assert (entries.count_negative(Selection()), entries.find_negative("c", 0)) == (1, refusal)


# Money


def test_a_limit_counts_what_is_reserved_and_then_what_was_charged(opened: Store) -> None:
    limits = [Limit("budget", 1.0)]
    with Run(opened, "Fruit") as run:
        first = reserve(run, "a", 0.6, limits)
        assert isinstance(first, Reservation)
        # It may cost less than was reserved; then there is room for the second.
        assert reserve(run, "b", 0.6, limits) is None
        run.settle(first, 0.2, is_lost=False)
        second = reserve(run, "b", 0.6, limits)
        assert isinstance(second, Reservation)
        assert spent(run) == (0.2, 0.6)
        record(run, "b", reservation=second, cost=0.6)
        assert reserve(run, "c", 0.6, limits) == LimitReached(limits[0])
        assert isinstance(reserve(run, "c", 0.2, limits), Reservation)
        assert reserve(run, "d", 2.0, limits) == LimitReached(limits[0])


def test_a_charge_that_nobody_knows_counts_as_expected(opened: Store) -> None:
    with Run(opened, "Fruit") as run:
        run.settle(reserved(run, "a", 0.6), None, is_lost=False)
        assert spent(run) == (0.6, 0)
        run.settle(reserved(run, "b", 0.6), 0.0, is_lost=False)
        assert spent(run) == (0.6, 0)


def test_what_has_no_price_is_asked_for_alone(opened: Store) -> None:
    limits = [Limit("budget", 1.0), Limit("daily", 5.0)]
    with Run(opened, "Fruit") as run:
        first = reserve(run, "a", None, limits)
        assert isinstance(first, Reservation)
        assert spent(run) == (0, 1.0)
        assert reserve(run, "b", None, limits) is None
        assert reserve(run, "b", 0.1, limits) is None
        record(run, "a", reservation=first, cost=0.3)
        second = reserve(run, "b", None, limits)
        assert isinstance(second, Reservation)
        assert spent(run) == (0.3, 0.7)
        record(run, "b", reservation=second, cost=0.7)
        assert reserve(run, "c", None, limits) == LimitReached(limits[0])
        assert isinstance(reserve(run, "c", None), Reservation)


def test_limits_are_of_a_run_a_day_or_a_provider(opened: Store) -> None:
    with Run(opened, "Fruit") as run, Run(opened, "Trees") as other:
        run.settle(reserved(run, "a", 1.0), 1.0, is_lost=False)
        today = time.strftime("%Y-%m-%d")
        exhausted = [
            Limit("all", 1.0),
            Limit("the run", 1.0, run=run.id),
            Limit("the day", 1.0, since=today),
            Limit("the provider", 1.0, provider="openai"),
        ]
        for limit in exhausted:
            assert reserve(run, "b", 0.5, [limit]) == LimitReached(limit)
        free = (
            Limit("x", 1.0, run=other.id),
            Limit("x", 1.0, since="2999-01-01"),
            Limit("x", 1.0, provider="y"),
        )
        assert isinstance(reserve(other, "b", 0.5, free), Reservation)


def test_threads_never_spend_more_than_a_limit(opened: Store) -> None:
    limits = [Limit("budget", 1.0)]
    deadline = time.monotonic() + PATIENCE
    with Run(opened, "Fruit") as run, ThreadPoolExecutor(8) as pool:

        def make(number: int) -> bool:
            request = reserve(run, f"k{number}", 0.1, limits, is_stopping=lambda: time.monotonic() > deadline)
            if isinstance(request, Reservation):
                record(run, f"k{number}", reservation=request, cost=0.1)
            return isinstance(request, Reservation)

        made = list(pool.map(make, range(16)))
    assert sum(made) == 10
    assert spent(run) == (1.0, 0)


# Stores that cannot be used


def test_a_ledger_of_another_version_is_not_touched(open_store: Open, tmp_path: Path) -> None:
    open_store().close()
    with closing(sqlite3.connect(tmp_path / "store" / "ledger.sqlite")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"version 99.* knows version 1") as caught:
        open_store()
    assert caught.value.hint
    with closing(sqlite3.connect(tmp_path / "store" / "ledger.sqlite")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)


def test_a_file_that_is_no_ledger_is_reported_and_not_touched(open_store: Open, tmp_path: Path) -> None:
    file = tmp_path / "store" / "ledger.sqlite"
    file.parent.mkdir()
    file.write_bytes(b"not a database, but what somebody needs" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreError, match="cannot be used"):
        open_store()
    assert file.read_bytes() == before


def test_a_file_in_place_of_the_folder_is_reported(open_store: Open, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("mine")
    with pytest.raises(StoreError, match="cannot be used") as caught:
        open_store()
    assert "[build]" in (caught.value.hint or "")


def test_a_store_is_there_once_it_was_opened(open_store: Open, tmp_path: Path) -> None:
    assert not Store.exists(tmp_path / "store")
    open_store()
    assert Store.exists(tmp_path / "store")
