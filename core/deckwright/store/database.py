"""The SQLite database of a store: its tables, and transactions on them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deckwright.store.errors import wrap_errors

# A database of another version is not changed: somebody paid for what it lists.
VERSION = 1
# Fewer free pages than this are not worth a rewrite of the file.
_FEW_PAGES = 256
_SCHEMA = """
CREATE TABLE media (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, work TEXT NOT NULL, bytes INTEGER NOT NULL, type TEXT NOT NULL,
    content TEXT NOT NULL, instance TEXT NOT NULL, provider TEXT NOT NULL, deck TEXT NOT NULL,
    attribution TEXT NOT NULL, cost REAL, made_at REAL NOT NULL, run TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX media_by_name ON media (name);
CREATE INDEX media_by_run ON media (run) WHERE work != '';
CREATE TABLE refusals (
    key TEXT PRIMARY KEY, error TEXT NOT NULL, message TEXT NOT NULL, hint TEXT NOT NULL, provider TEXT NOT NULL,
    deck TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE requests (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, run TEXT NOT NULL, type TEXT NOT NULL, instance TEXT NOT NULL,
    provider TEXT NOT NULL, state TEXT NOT NULL, cost REAL NOT NULL, day TEXT NOT NULL, asked_at REAL NOT NULL
) WITHOUT ROWID;
-- One request at a time for what is the same, in all processes.
CREATE UNIQUE INDEX requests_in_flight ON requests (key) WHERE state = 'asked';
CREATE INDEX requests_lost ON requests (key) WHERE state = 'lost';
CREATE INDEX requests_by_run ON requests (run) WHERE state = 'asked';
-- The sum of the costs of requests, so that a budget is looked up and not added up.
CREATE TABLE spending (
    run TEXT NOT NULL, day TEXT NOT NULL, provider TEXT NOT NULL, settled REAL NOT NULL, reserved REAL NOT NULL,
    PRIMARY KEY (run, day, provider)
) WITHOUT ROWID;
CREATE TABLE runs (id TEXT PRIMARY KEY, deck TEXT NOT NULL, started_at REAL NOT NULL) WITHOUT ROWID;
"""


class Database:
    """An open database. The threads of a process share the connection; processes wait for each other.

    Args:
        file: The file; it is created when it does not exist.

    Raises:
        StoreError: It cannot be used; every method may raise it.
    """

    def __init__(self, file: Path) -> None:
        self._folder = file.parent
        self._lock = threading.RLock()
        with wrap_errors(self._folder):
            self._connection = sqlite3.connect(
                file, timeout=30, isolation_level=None, check_same_thread=False
            )
        try:
            self.execute("PRAGMA journal_mode = WAL")
            # Survives a crash of this process. Durable transactions also survive a crash of the machine.
            self.execute("PRAGMA synchronous = NORMAL")
            with self.transaction():
                self._create_tables()
        except BaseException:
            self.close()
            raise

    def _create_tables(self) -> None:
        (version,) = self.one("PRAGMA user_version")
        if version == 0:
            for statement in _SCHEMA.split(";"):
                self.execute(statement)
            self.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise sqlite3.DatabaseError(
                f"it is of version {version}, and this Deckwright knows version {VERSION}"
            )

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Make changes, all of them or none. Durable ones are on the disk before this returns.

        A transaction within another is a part of that one.
        """
        with self._lock, wrap_errors(self._folder):
            if self._connection.in_transaction:
                yield
                return
            if durable:
                self.execute("PRAGMA synchronous = FULL")
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                if durable:
                    self._connection.execute("PRAGMA synchronous = NORMAL")

    def execute(self, statement: str, *values: Any) -> int:
        """Execute a statement; return how many rows it has changed."""
        with self._lock, wrap_errors(self._folder):
            return self._connection.execute(statement, values).rowcount

    def all(self, query: str, *values: Any) -> list[Any]:
        """Return all rows of a query."""
        with self._lock, wrap_errors(self._folder):
            return self._connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        """Return the first row of a query, or None."""
        return next(iter(self.all(query, *values)), None)

    def compact(self) -> None:
        """Give the space that the database no longer uses back to the disk, where it is much."""
        with self._lock:
            (free,) = self.one("PRAGMA freelist_count")
            (pages,) = self.one("PRAGMA page_count")
            if free > max(pages // 4, _FEW_PAGES):
                self.execute("VACUUM")
                self.execute("PRAGMA wal_checkpoint(TRUNCATE)")
