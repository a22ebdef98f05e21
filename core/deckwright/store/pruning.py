"""Pruning: finding what a store could do without, and removing it.

First a record is removed, and then its file. Whoever is killed in between leaves a file that nothing refers to, which
is found the next time. What was spent stays in the ledger, whatever becomes of what it was spent for.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import attrs
from filelock import FileLock, Timeout

from deckwright.store.folder import Place, Store, StoreError

# What a store calls its files. Whatever else somebody may have put there is not ours to remove.
_NAME = re.compile(r"deckwright-[0-9a-f]{20}(\.\w+)?")


@attrs.frozen
class Choice:
    """What to remove.

    Attributes:
        files: Whether files are removed that were made.
        refusals: Whether refusals are forgotten.
        leftovers: Whether files are removed that nothing refers to, and records of files that are gone.
        before: Of the first two, only what is older than this time, in seconds since 1970; None for any age.
        provider: Of the first two, only what is from this provider; empty for any.
        deck: Of the first two, only what is for this deck alone; empty for any.
    """

    files: bool = False
    refusals: bool = False
    leftovers: bool = False
    before: float | None = None
    provider: str = ""
    deck: str = ""


@attrs.frozen
class Result:
    """A finished sound or picture, as far as it matters here.

    Attributes:
        key: What it is kept under.
        path: Where its file is, from the store's folder on.
        type: What it is.
        provider: The name by which plugins know its provider.
        deck: The only deck that it may be used for; empty when it may be used for any.
        bytes: The size of the file; 0 when another result needs the same file.
        cost: US dollars; None when that is not known.
        was_asked_for: Whether it came from a service, or may have cost something.
    """

    key: str
    path: str
    type: str
    provider: str
    deck: str
    bytes: int
    cost: float | None
    was_asked_for: bool


@attrs.frozen
class Leftovers:
    """What is surely of no use.

    Attributes:
        orphans: Files that nothing refers to, from the store's folder on, and their sizes in bytes.
        gone: The keys of results whose files somebody has deleted.
    """

    orphans: dict[str, int] = attrs.field(factory=dict)
    gone: tuple[str, ...] = ()


@attrs.frozen
class Prunable:
    """What a choice comes to.

    Attributes:
        choice: The choice.
        results: The results whose records are removed, and their files.
        refusals: How many refusals are forgotten.
        leftovers: What is of no use to anybody.
    """

    choice: Choice
    results: tuple[Result, ...] = ()
    refusals: int = 0
    leftovers: Leftovers = Leftovers()

    @property
    def cost(self) -> float:
        """What the results have cost, as far as that is known, in US dollars."""
        return sum(result.cost or 0.0 for result in self.results)

    @property
    def unpriced(self) -> int:
        """How many of the results may have cost something that nobody knows."""
        return sum(result.was_asked_for and result.cost is None for result in self.results)

    @property
    def files(self) -> int:
        """How many files go."""
        return len({result.path for result in self.results if result.bytes}) + len(self.leftovers.orphans)

    @property
    def bytes(self) -> int:
        """What becomes free on the disk."""
        return sum(result.bytes for result in self.results) + sum(self.leftovers.orphans.values())

    def __bool__(self) -> bool:
        return bool(self.results or self.refusals or self.leftovers.orphans or self.leftovers.gone)


@attrs.frozen
class Building:
    """A build that is at work on a store: its deck, and when it began, in seconds since 1970."""

    deck: str
    since: float


def building(store: Store) -> list[Building]:
    """Return the builds that are at work on a store. Those that were killed are not."""
    return [Building(deck, at) for run, deck, at in store.ledger.running() if _is_held(store.lock_of(run))]


def _is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    try:
        with FileLock(lock, blocking=False):
            return False
    except Timeout:
        return True


def find_prunable(store: Store, choice: Choice) -> Prunable:
    """Find what a choice comes to; nothing is changed.

    Raises:
        StoreError: The store cannot be read.
    """
    with store.told("cannot be read"):
        leftovers = find_leftovers(store) if choice.leftovers else Leftovers()
        refusals = 0
        if choice.refusals:
            refusals = store.ledger.count_refusals_of(
                before=choice.before, provider=choice.provider, deck=choice.deck
            )
        results = tuple(_results(store, choice, set(leftovers.gone))) if choice.files else ()
    return Prunable(choice, results, refusals, leftovers)


def _results(store: Store, choice: Choice, gone: set[str]) -> Iterator[Result]:
    rows = store.ledger.made_for(before=choice.before, provider=choice.provider, deck=choice.deck)
    chosen = {key for key, *_ in rows}
    # Two results may be the same to the byte, and share their file; it goes when the last of them does.
    counted = {(name, deck) for key, name, deck in store.ledger.keys_of_files() if key not in chosen}
    for key, name, type, provider, deck, size, cost, was_asked_for in rows:
        if (name, deck) in counted or key in gone:
            size = 0
        counted.add((name, deck))
        path = Place(deck).path(name)
        yield Result(key, path, type, provider, deck, size, cost, bool(was_asked_for))


def find_leftovers(store: Store) -> Leftovers:
    """Find what is of no use to anybody; builds may be at work meanwhile.

    Raises:
        StoreError: The store cannot be read.
    """
    with store.told("cannot be read"):
        # In this order: a file comes after its record, and so each that is seen has one, unless it is an orphan.
        files = set(_files(store.folder))
        orphans = files - _paths_in_use(store)
        sizes = {}
        for path in sorted(orphans):
            with suppress(FileNotFoundError):
                sizes[path] = (store.folder / path).lstat().st_size
        kept = [(key, Place(deck).path(name)) for key, name, deck in store.ledger.keys_of_files()]
        # One that was not there a moment ago may have come since.
        gone = (key for key, path in kept if path not in files and not (store.folder / path).exists())
        return Leftovers(sizes, tuple(gone))


def _files(folder: Path) -> Iterator[str]:
    """Yield the files of a store that are in their places, as paths from the store's folder on."""
    for shelf in _shelves(folder):
        with os.scandir(folder / shelf) as entries:
            for entry in entries:
                if _NAME.fullmatch(entry.name) and not entry.is_dir():
                    yield f"{shelf}/{entry.name}"


def _shelves(folder: Path) -> Iterator[str]:
    """Yield the folders that files are in."""
    for part, name in (("media", "[0-9a-f]{2}"), ("decks", "[0-9a-f]{16}")):
        with suppress(FileNotFoundError), os.scandir(folder / part) as entries:
            for entry in entries:
                if re.fullmatch(name, entry.name) and entry.is_dir():
                    yield f"{part}/{entry.name}"


def _paths_in_use(store: Store) -> set[str]:
    return {Place(deck).path(name) for name, deck in store.ledger.names_in_use()}


def prune(store: Store, found: Prunable) -> list[str]:
    """Remove what was found, and nothing that has come since; return what could not be removed, and why.

    Raises:
        StoreError: A build is at work on the store, or the store cannot be written.
    """
    # While this is held, no build begins.
    with store.told("cannot be written"), store.gate():
        _require_idle(store)
        keys = [result.key for result in found.results]
        store.ledger.forget([*keys, *_still_gone(store, found.leftovers)])
        if found.refusals:
            choice = found.choice
            store.ledger.forget_refusals(before=choice.before, provider=choice.provider, deck=choice.deck)
        in_use = _paths_in_use(store)
        paths = dict.fromkeys([*(result.path for result in found.results), *found.leftovers.orphans])
        problems = _remove(store.folder, (path for path in paths if path not in in_use))
        for shelf in _shelves(store.folder):
            with suppress(OSError):  # it is not empty
                (store.folder / shelf).rmdir()
        with suppress(sqlite3.OperationalError):  # there is no room for it, or somebody reads
            store.ledger.compact()
    return problems


def _require_idle(store: Store) -> None:
    if builds := building(store):
        decks = " and ".join(dict.fromkeys(repr(build.deck) for build in builds))
        raise StoreError(
            f"Nothing was removed from the store {store.folder}: a build of {decks} is at work on it.",
            hint="Wait until it is done, or stop it, and run the same command again.",
        )


def _still_gone(store: Store, leftovers: Leftovers) -> set[str]:
    """Return the keys whose files are gone now as well: a build may have made them anew since."""
    found = set(leftovers.gone)
    rows = store.ledger.keys_of_files() if found else []
    return {
        key
        for key, name, deck in rows
        if key in found and not (store.folder / Place(deck).path(name)).exists()
    }


def _remove(folder: Path, paths: Iterable[str]) -> list[str]:
    problems = []
    for path in paths:
        try:
            (folder / path).unlink(missing_ok=True)
        except OSError as error:
            # A program shows it, perhaps. It is an orphan now, and goes with the next pruning.
            problems.append(f"{folder / path} cannot be removed: {error.strerror or error}.")
    return problems
