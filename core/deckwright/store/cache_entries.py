"""The cache entries of a store: for each request, the file that answered it, or the answer that there is none."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable

import attrs

from deckwright.store.database import Database


@attrs.frozen
class ProviderRef:
    """A provider as the store knows it: its type, its instance, and its name among plugins."""

    type: str
    instance: str
    name: str


@attrs.frozen
class CacheEntry:
    """A finished sound or picture. What has a default is filled in when a run records it."""

    key: str  # of the request that it answers
    type: str
    instance: str
    provider: str  # the name of its provider among plugins
    content: str  # the word
    deck: str  # the only deck that may use it; empty when any may
    attribution: str  # the credit that is due; empty when none is
    cost: float | None  # in US dollars; None when it is not known
    name: str = ""  # of the file, made from its content
    work: str = (
        ""  # the file's path until it is moved, relative to the store's folder; empty when it certainly was
    )
    bytes: int = 0
    made_at: float = 0.0  # in seconds since 1970
    run: str = ""

    @property
    def path(self) -> str:
        """The file's final path, relative to the store's folder."""
        return file_path(self.name, self.deck)


@attrs.frozen
class NegativeEntry:
    """The error that a provider gave instead of a file, and would give again: its class, message and hint."""

    error: str
    message: str
    hint: str


@attrs.frozen(kw_only=True)
class Selection:
    """Which entries are meant."""

    before: float | None = None  # only older ones, in seconds since 1970; None for any age
    provider: str = ""  # only those from this provider; empty for any
    deck: str = ""  # only those for this deck alone; empty for any

    def where(self, age: str) -> tuple[str, list[object]]:
        """Return an SQL condition, and its values; `age` is the column with the time of an entry."""
        condition = f"(? IS NULL OR {age} < ?) AND (? = '' OR provider = ?) AND (? = '' OR deck = ?)"
        return condition, [each for each in (self.before, self.provider, self.deck) for _ in range(2)]


def file_path(name: str, deck: str = "") -> str:
    """Return the path of a file that one deck may use, or any, relative to the store's folder."""
    if deck:
        return f"decks/{hashlib.sha256(deck.encode()).hexdigest()[:16]}/{name}"
    # deckwright-3f0c....mp3
    return f"media/{name.partition('-')[2][:2]}/{name}"


_COLUMNS = ", ".join(field.name for field in attrs.fields(CacheEntry))
_MARKS = ", ".join("?" for _ in attrs.fields(CacheEntry))


class CacheEntries:
    """All cache entries of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str) -> CacheEntry | None:
        """Return the entry for a key."""
        return self._find("key = ?", key)

    def find_name(self, name: str) -> CacheEntry | None:
        """Return the first entry with a file of this name."""
        return self._find("name = ? ORDER BY made_at LIMIT 1", name)

    def find_unmoved(self, run: str, work: str) -> CacheEntry | None:
        """Return the entry of a run whose file may still be at `work`."""
        return self._find("run = ? AND work = ? AND work != ''", run, work)

    def _find(self, condition: str, *values: str) -> CacheEntry | None:
        row = self._database.one(f"SELECT {_COLUMNS} FROM media WHERE {condition}", *values)
        return CacheEntry(*row) if row else None

    def insert(self, entry: CacheEntry) -> CacheEntry:
        """Add an entry, unless its key has one; return the key's entry."""
        with self._database.transaction():
            self._database.execute(
                f"INSERT OR IGNORE INTO media ({_COLUMNS}) VALUES ({_MARKS})", *attrs.astuple(entry)
            )
            self._database.execute("DELETE FROM refusals WHERE key = ?", entry.key)
            return self.find(entry.key) or entry

    def remove(self, entry: CacheEntry) -> None:
        """Remove an entry whose file no longer exists, unless another run has replaced it."""
        self._database.execute("DELETE FROM media WHERE key = ? AND made_at = ?", entry.key, entry.made_at)

    def remove_keys(self, keys: Iterable[str]) -> None:
        """Remove the entries for these keys."""
        with self._database.transaction():
            for key in keys:
                self._database.execute("DELETE FROM media WHERE key = ?", key)

    def mark_moved(self, run: str) -> None:
        """Record that all files of a run have their final paths."""
        self._database.execute("UPDATE media SET work = '' WHERE run = ? AND work != ''", run)

    # Negative entries

    def find_negative(self, key: str, since: float) -> NegativeEntry | None:
        """Return the negative entry for a key, if it was made at this time or later."""
        query = "SELECT error, message, hint FROM refusals WHERE key = ? AND at >= ?"
        row = self._database.one(query, key, since)
        return NegativeEntry(*row) if row else None

    def insert_negative(
        self, key: str, entry: NegativeEntry, provider: str, deck: str, *, at: float | None = None
    ) -> None:
        """Add or replace the negative entry for a key, with the time of now or another one."""
        at = time.time() if at is None else at
        self._database.execute(
            "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)",
            key, *attrs.astuple(entry), provider, deck, at,
        )  # fmt: skip

    def remove_negative(self, selection: Selection) -> int:
        """Remove the selected negative entries; return how many."""
        condition, values = selection.where("at")
        return self._database.execute(f"DELETE FROM refusals WHERE {condition}", *values)

    def count_negative(self, selection: Selection) -> int:
        """Return how many negative entries are selected."""
        condition, values = selection.where("at")
        return int(self._database.one(f"SELECT count(*) FROM refusals WHERE {condition}", *values)[0])

    # Lists

    def select(self, selection: Selection) -> list[tuple[CacheEntry, bool]]:
        """Return the selected entries, each with whether a request was recorded for it."""
        condition, values = selection.where("made_at")
        rows = self._database.all(
            f"SELECT key IN (SELECT key FROM requests WHERE state = 'answered'), {_COLUMNS}"
            f" FROM media WHERE {condition}",
            *values,
        )
        return [(CacheEntry(*row), bool(was_requested)) for was_requested, *row in rows]

    def totals(self) -> list[tuple[str, str, str, int, int, float]]:
        """Return the number of files, their bytes and their cost, by type, provider and the only deck."""
        return self._database.all(
            "SELECT type, provider, deck, count(*), sum(bytes), sum(cost) FROM ("
            " SELECT type, provider, deck, max(bytes) AS bytes, coalesce(sum(cost), 0.0) AS cost"
            " FROM media GROUP BY type, provider, deck, name"
            ") GROUP BY type, provider, deck"
        )

    def moved_files(self) -> list[tuple[str, str]]:
        """Return the key and path of every entry whose file has its final path."""
        rows = self._database.all("SELECT key, name, deck FROM media WHERE work = ''")
        return [(key, file_path(name, deck)) for key, name, deck in rows]

    def paths(self) -> set[str]:
        """Return the final paths of all files, moved or not."""
        return {file_path(name, deck) for name, deck in self._database.all("SELECT name, deck FROM media")}
