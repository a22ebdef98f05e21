"""Pruning: finding what a store could do without, and removing it.

First an entry is removed, and then its file. A kill in between leaves a file without an entry, which is found the next
time. The ledger remembers what was spent in any case.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import attrs
from filelock import FileLock, Timeout

from deckwright.store.cache_entries import CacheEntry, Selection
from deckwright.store.errors import StoreError
from deckwright.store.folder import RunRecord, Store

# The names and folders of a store's files. Other files there are somebody else's, and stay.
_NAME = re.compile(r"deckwright-[0-9a-f]{20}(\.\w+)?")
_FOLDERS = (f"media/{'[0-9a-f]' * 2}", f"decks/{'[0-9a-f]' * 16}")


@attrs.frozen(kw_only=True)
class Choice(Selection):
    """What to remove."""

    files: bool = False  # the selected files with their entries
    negative: bool = False  # the selected negative entries
    leftovers: bool = False  # files without entries, and entries without files


@attrs.frozen
class PrunableEntry:
    """An entry that would be removed."""

    entry: CacheEntry
    bytes: int  # of its file; 0 when there is none, or another entry needs the same file
    was_requested: bool  # whether it came from a service, or may have cost something


@attrs.frozen
class Leftovers:
    """What is certainly of no use."""

    # The sizes of files without entries, in bytes, by path relative to the store's folder.
    orphans: dict[str, int] = attrs.field(factory=dict)
    gone: tuple[str, ...] = ()  # the keys of entries whose files somebody has deleted


@attrs.frozen
class Prunable:
    """What a choice would remove."""

    choice: Choice
    entries: tuple[PrunableEntry, ...] = ()
    negative: int = 0  # how many negative entries
    leftovers: Leftovers = Leftovers()

    @property
    def cost(self) -> float:
        """The known cost of the entries, in US dollars."""
        return sum(each.entry.cost or 0.0 for each in self.entries)

    @property
    def unpriced(self) -> int:
        """How many of the entries may have cost something that nobody knows."""
        return sum(each.was_requested and each.entry.cost is None for each in self.entries)

    @property
    def files(self) -> int:
        """How many files would be removed."""
        return len({each.entry.path for each in self.entries if each.bytes}) + len(self.leftovers.orphans)

    @property
    def bytes(self) -> int:
        """How many bytes of the disk would become free."""
        return sum(each.bytes for each in self.entries) + sum(self.leftovers.orphans.values())

    def __bool__(self) -> bool:
        return bool(self.entries or self.negative or self.leftovers.orphans or self.leftovers.gone)


def running_builds(store: Store) -> list[RunRecord]:
    """Return the runs of builds that are using a store. Those of killed builds are not among them."""
    return [run for run in store.runs() if _is_held(store.run_lock(run.id))]


def _is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    try:
        with FileLock(lock, blocking=False):
            return False
    except Timeout:
        return True


def find_prunable(store: Store, choice: Choice) -> Prunable:
    """Find what a choice would remove; nothing is changed."""
    leftovers = find_leftovers(store) if choice.leftovers else Leftovers()
    entries = tuple(_selected(store, choice, set(leftovers.gone))) if choice.files else ()
    negative = store.entries.count_negative(choice) if choice.negative else 0
    return Prunable(choice, entries, negative, leftovers)


def _selected(store: Store, choice: Choice, gone: Container[str]) -> Iterator[PrunableEntry]:
    selected = store.entries.select(choice)
    keys = {entry.key for entry, _ in selected}
    # Files with the same content are one file, which is removed with the last of their entries.
    counted = {path for key, path in store.entries.moved_files() if key not in keys}
    for entry, was_requested in selected:
        removes_file = entry.path not in counted and entry.key not in gone
        counted.add(entry.path)
        yield PrunableEntry(entry, entry.bytes if removes_file else 0, was_requested)


def find_leftovers(store: Store) -> Leftovers:
    """Find what is of no use; builds may be running meanwhile."""
    with store.wrap_errors():
        # In this order: an entry comes before its file, so that a file seen now has its entry by then.
        files = _stored_files(store.folder)
        orphans = {}
        for path in sorted(files - store.entries.paths()):
            with suppress(FileNotFoundError):
                orphans[path] = (store.folder / path).lstat().st_size
        # A file that was not there a moment ago may have come since.
        gone = (
            key
            for key, path in store.entries.moved_files()
            if path not in files and not (store.folder / path).exists()
        )
        return Leftovers(orphans, tuple(gone))


def _stored_files(folder: Path) -> set[str]:
    """Return the files of a store that have their final paths, relative to its folder."""
    return {
        f"{subfolder.relative_to(folder).as_posix()}/{file.name}"
        for subfolder in _subfolders(folder)
        for file in os.scandir(subfolder)
        if _NAME.fullmatch(file.name) and not file.is_dir()
    }


def _subfolders(folder: Path) -> list[Path]:
    return [path for pattern in _FOLDERS for path in folder.glob(pattern) if path.is_dir()]


def prune(store: Store, found: Prunable) -> list[str]:
    """Remove what was found, and nothing that has come since; return what could not be removed, and why.

    Raises:
        StoreError: A build is using the store, or the store cannot be written.
    """
    entries = store.entries
    # While this is held, no build begins.
    with store.wrap_errors(), store.startup_lock():
        _require_idle(store)
        entries.remove_keys(
            [*(each.entry.key for each in found.entries), *_still_gone(store, found.leftovers)]
        )
        if found.negative:
            entries.remove_negative(found.choice)
        needed = entries.paths()
        paths = dict.fromkeys([*(each.entry.path for each in found.entries), *found.leftovers.orphans])
        problems = _remove(store.folder, (path for path in paths if path not in needed))
        for subfolder in _subfolders(store.folder):
            with suppress(OSError):  # it is not empty
                subfolder.rmdir()
        with suppress(StoreError):  # there is no room for it, or another process reads
            store.database.compact()
    return problems


def _require_idle(store: Store) -> None:
    if runs := running_builds(store):
        decks = " and ".join(dict.fromkeys(repr(run.deck) for run in runs))
        raise StoreError(
            f"Nothing was removed from the store {store.folder}: a build of {decks} is using it.",
            hint="Wait until it is done, or stop it, and run the same command again.",
        )


def _still_gone(store: Store, leftovers: Leftovers) -> list[str]:
    """Return the keys whose files are still gone: a build may have generated them again."""
    if not leftovers.gone:
        return []
    paths = dict(store.entries.moved_files())
    return [key for key in leftovers.gone if key in paths and not (store.folder / paths[key]).exists()]


def _remove(folder: Path, paths: Iterable[str]) -> list[str]:
    problems = []
    for path in paths:
        try:
            (folder / path).unlink(missing_ok=True)
        except OSError as error:
            # Another program shows it, perhaps. It is an orphan now, and the next pruning removes it.
            problems.append(f"{folder / path} cannot be removed: {error.strerror or error}.")
    return problems
