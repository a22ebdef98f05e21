"""Pruning: what is chosen goes with its files, nothing else does, and what was spent is remembered."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stores import VOICE, all_entries, kill_a_run, path_of, record, reserved

from deckwright.store import CacheEntry, NegativeEntry, ProviderRef, Run, Store, StoreError
from deckwright.store.cache_entries import Selection, file_path
from deckwright.store.pruning import Choice, find_leftovers, find_prunable, prune, running_builds

Open = Callable[[], Store]
EVERYTHING = Choice(files=True, negative=True, leftovers=True)
LOCAL = ProviderRef("audio", "robot", "espeak")
FORVO = ProviderRef("audio", "forvo", "forvo")
PATIENCE = 30


def put_orphan(store: Store, name: str = "deckwright-ff000000000000000000.mp3") -> Path:
    file = store.folder / file_path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"12345")
    return file


def remove(store: Store, choice: Choice) -> None:
    assert prune(store, find_prunable(store, choice)) == []


def keys(store: Store) -> set[str]:
    return {kept.key for kept in all_entries(store)}


@pytest.fixture
def filled(opened: Store) -> dict[str, CacheEntry]:
    """Results in the test's store by their keys: paid, free, for one deck alone, and of an unknown price."""
    with Run(opened, "Fruit") as run:
        made = {
            "paid": record(run, "paid", b"ID3 1", reservation=reserved(run, "paid"), cost=0.25),
            "free": record(run, "free", b"ID3 2", provider=LOCAL),
            "own": record(run, "own", b"ID3 3", deck="Fruit", provider=FORVO, cost=0.5),
            "unpriced": record(run, "unpriced", b"ID3 4", reservation=reserved(run, "unpriced", 0.125)),
        }
        run.store.entries.insert_negative("no", NegativeEntry("NotFoundError", "None.", ""), "openai", "")
        run.store.entries.insert_negative(
            "never", NegativeEntry("NotFoundError", "None.", ""), "forvo", "Fruit"
        )
    return made


@pytest.mark.parametrize(
    ("choice", "left", "refusals"),
    [
        (Choice(files=True, negative=True, provider="openai"), {"free", "own"}, 1),
        (Choice(files=True, provider="openai"), {"free", "own"}, 2),
        (Choice(files=True, negative=True, deck="Fruit"), {"paid", "free", "unpriced"}, 1),
        (
            Choice(files=True, negative=True, provider="openai", deck="Fruit"),
            {"paid", "free", "own", "unpriced"},
            2,
        ),
        (Choice(negative=True), {"paid", "free", "own", "unpriced"}, 0),
        (Choice(leftovers=True), {"paid", "free", "own", "unpriced"}, 2),
        (EVERYTHING, set(), 0),
    ],
)
def test_what_is_chosen_goes_with_its_files_and_the_rest_stays(
    opened: Store, filled: dict[str, CacheEntry], choice: Choice, left: set[str], refusals: int
) -> None:
    remove(opened, choice)
    assert keys(opened) == left
    assert {key for key, kept in filled.items() if path_of(opened, kept).exists()} == left
    assert opened.entries.count_negative(Selection()) == refusals
    assert not find_leftovers(opened).orphans
    folders = {path_of(opened, filled[key]).parent for key in left}
    assert {
        file.parent for part in ("media", "decks") for file in (opened.folder / part).glob("*/*")
    } == folders


def test_what_is_found_says_what_it_is_worth_and_changes_nothing(
    opened: Store, filled: dict[str, CacheEntry]
) -> None:
    put_orphan(opened)
    found = find_prunable(opened, EVERYTHING)
    assert (found.cost, found.unpriced, found.files, found.negative) == (0.75, 1, 5, 2)
    assert found.bytes == 4 * len(b"ID3 1") + len(b"12345")
    assert keys(opened) == set(filled)
    assert not find_prunable(opened, Choice(files=True, negative=True, provider="nobody"))


def test_age_is_counted_from_when_it_was_made(opened: Store, filled: dict[str, CacheEntry]) -> None:
    assert not find_prunable(opened, Choice(files=True, negative=True, before=filled["paid"].made_at))
    found = find_prunable(opened, Choice(files=True, negative=True, before=time.time() + 1))
    assert ({each.entry.key for each in found.entries}, found.negative) == (set(filled), 2)


def test_what_was_spent_is_remembered(opened: Store, filled: dict[str, CacheEntry]) -> None:
    ledger = opened.ledger
    with Run(opened, "Fruit") as run:
        run.settle(reserved(run, "lost", 0.0625), None, is_lost=True)
    before = ledger.costs(), ledger.count_requests(), ledger.lost_costs()
    remove(opened, EVERYTHING)
    assert (ledger.costs(), ledger.count_requests(), ledger.lost_costs()) == before
    assert ledger.usage(since=time.strftime("%Y-%m-%d")).settled == pytest.approx(0.9375)


def test_a_file_goes_with_the_last_result_that_needs_it(opened: Store) -> None:
    with Run(opened, "Fruit") as run:
        file = path_of(opened, record(run, "a", provider=LOCAL))
        record(run, "b")
        record(run, "c")
        own = path_of(opened, record(run, "d", deck="Fruit", provider=LOCAL))
    found = find_prunable(opened, Choice(files=True, provider="espeak"))
    assert (found.files, [each.bytes for each in found.entries if each.entry.key == "a"]) == (1, [0])
    prune(opened, found)
    assert (file.exists(), own.exists()) == (True, False)
    found = find_prunable(opened, EVERYTHING)
    assert (found.files, found.bytes) == (1, file.stat().st_size)
    prune(opened, found)
    assert not file.exists()


# Leftovers


def test_a_file_that_nothing_refers_to_is_found_and_removed(
    opened: Store, filled: dict[str, CacheEntry]
) -> None:
    # As a pruning leaves it that is killed between a record and its file.
    opened.entries.remove_keys(["own"])
    orphan, own = put_orphan(opened), path_of(opened, filled["own"])
    assert find_leftovers(opened).orphans.keys() == {
        file.relative_to(opened.folder).as_posix() for file in (orphan, own)
    }
    remove(opened, Choice(leftovers=True))
    assert not orphan.exists()
    assert not own.parent.exists()
    assert all(path_of(opened, filled[key]).exists() for key in ("paid", "free", "unpriced"))


def test_records_of_files_that_somebody_deleted_are_removed(
    opened: Store, filled: dict[str, CacheEntry]
) -> None:
    for key in ("paid", "free"):
        path_of(opened, filled[key]).unlink()
    found = find_prunable(opened, Choice(leftovers=True))
    assert (set(found.leftovers.gone), found.files, found.cost) == ({"paid", "free"}, 0, 0)
    # A build generates one of them again before the others are removed.
    path_of(opened, filled["free"]).parent.mkdir(exist_ok=True)
    path_of(opened, filled["free"]).write_bytes(b"ID3 2")
    prune(opened, found)
    assert keys(opened) == {"free", "own", "unpriced"}


def test_what_others_have_put_there_is_let_alone(opened: Store) -> None:
    others = [
        "media/3f/holiday.mp3",
        "media/notes/deckwright-ff000000000000000000.mp3",
        "media/3f/.DS_Store",
        "mine",
    ]
    for name in others:
        (opened.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (opened.folder / name).write_bytes(b"mine")
    remove(opened, EVERYTHING)
    assert all((opened.folder / name).read_bytes() == b"mine" for name in others)


def test_a_file_that_cannot_be_removed_is_reported_and_found_again(
    opened: Store, filled: dict[str, CacheEntry]
) -> None:
    file = path_of(opened, filled["own"])
    found = find_prunable(opened, Choice(files=True, deck="Fruit"))
    file.unlink()
    file.mkdir()  # what stands there now can be removed by nobody who may remove files
    (file / "mine").touch()
    [problem] = prune(opened, found)
    assert str(file) in problem
    assert keys(opened) == set(filled) - {"own"}


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a right there")
def test_links_are_removed_and_not_what_they_lead_to(opened: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.mp3"
    mine.write_bytes(b"mine")
    orphan = put_orphan(opened)
    orphan.unlink()
    orphan.symlink_to(mine)
    remove(opened, Choice(leftovers=True))
    assert (orphan.is_symlink(), mine.read_bytes()) == (False, b"mine")


# Builds at the same time


def test_nothing_is_removed_while_a_build_is_at_work(open_store: Open, filled: dict[str, CacheEntry]) -> None:
    store = open_store()
    found = find_prunable(store, EVERYTHING)
    with Run(open_store(), "Trees: oak") as run:
        assert [build.deck for build in running_builds(store)] == ["Trees: oak"]
        record(run, "new", b"ID3 5")
        assert not find_leftovers(store).orphans
        with pytest.raises(StoreError, match="a build of 'Trees: oak' is using it") as caught:
            prune(store, found)
        assert "Wait" in (caught.value.hint or "")
        assert keys(store) == {*filled, "new"}
    assert running_builds(store) == []
    # What was made after it was found is not removed: nobody agreed to that.
    assert prune(store, found) == []
    assert keys(store) == {"new"}
    assert [file.name for file in store.folder.glob("media/*/*")] == [k.name for k in all_entries(store)]


def test_a_build_that_was_killed_does_not_stand_in_the_way(opened: Store, open_store: Open) -> None:
    kill_a_run(opened, "k", is_recorded=True)
    assert running_builds(opened) == []
    remove(opened, EVERYTHING)
    later = open_store()
    assert (keys(later), later.runs(), list(later.folder.glob("*/*/*"))) == (set(), [], [])


def test_builds_that_begin_meanwhile_wait_and_lose_nothing(open_store: Open) -> None:
    """Builds and prunings at the same time: what a build has recorded stays there for as long as it runs."""
    stop = threading.Event()

    def build(number: int) -> None:
        with Store(open_store().folder) as store:
            for turn in range(6):
                with Run(store, f"Deck {number}") as run:
                    kept = record(run, f"{number} {turn}", b"ID3 %d" % turn, provider=VOICE)
                    assert path_of(store, kept).is_file()
                    assert run.store.find(kept.key) is not None
                    assert path_of(store, kept).is_file()

    def prune_again_and_again() -> int:
        done = 0
        with Store(open_store().folder) as store:
            while not stop.is_set():
                try:
                    prune(store, find_prunable(store, EVERYTHING))
                    done += 1
                except StoreError as error:
                    if "is using it" not in error.message:
                        raise
        return done

    with ThreadPoolExecutor(3) as pool:
        pruning = pool.submit(prune_again_and_again)
        builds = [pool.submit(build, number) for number in range(2)]
        try:
            for each in builds:
                each.result(PATIENCE)
        finally:
            stop.set()
        pruning.result(PATIENCE)
    store = open_store()
    remove(store, EVERYTHING)
    assert list(store.folder.glob("media/*")) == []


def test_the_ledger_gives_the_disk_back_what_it_does_not_use(opened: Store) -> None:
    refusal = NegativeEntry("NotFoundError", "None. " * 200, "")
    with Run(opened, "Fruit"):
        for number in range(1500):
            opened.entries.insert_negative(str(number), refusal, "forvo", "", at=1.0)
    remove(opened, EVERYTHING)
    assert (opened.folder / "ledger.sqlite").stat().st_size < 300_000
