"""The ledger of a store: its cache entries, its spending and its runs, each change in one transaction."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import attrs

from deckwright.store.cache_entries import CacheEntries, CacheEntry
from deckwright.store.database import Database
from deckwright.store.spending import Reservation, Spending, day_of


@attrs.frozen
class RunRecord:
    """A run that has begun and not ended: its id and deck, and when it began, in seconds since 1970."""

    id: str
    deck: str
    started_at: float


class Ledger:
    """An open ledger.

    Args:
        file: The database; it is created when it does not exist.

    Attributes:
        database: The same, open.
        entries: The cache entries.
        spending: The requests, and the money for them.

    Raises:
        sqlite3.Error: It cannot be used.
    """

    def __init__(self, file: Path) -> None:
        self.database = Database(file)
        self.entries = CacheEntries(self.database)
        self.spending = Spending(self.database, self.entries)

    def record(
        self, entry: CacheEntry, charged: float | None, reservation: Reservation | None = None
    ) -> CacheEntry:
        """Record a file, which is still at `entry.work`, and its cost; return the entry of its key.

        Args:
            entry: The entry. If its key has one already, that one stays.
            charged: What counts as spent, in US dollars; None for what was reserved.
            reservation: The request that the file answers; None for none.
        """
        # What may have been paid for is on the disk before this returns.
        with self.database.transaction(durable=entry.cost != 0):
            if reservation and reservation.is_recorded:
                self.spending.settle(reservation.id, charged)
            elif charged:
                day = day_of(datetime.fromtimestamp(entry.made_at).astimezone())
                self.spending.add(entry.run, day, entry.provider, settled=charged)
            return self.entries.insert(entry)

    def begin(self, run: str, deck: str, at: float) -> None:
        """Record that a run begins."""
        with self.database.transaction():
            self.database.execute("INSERT INTO runs VALUES (?, ?, ?)", run, deck, at)

    def runs(self) -> list[RunRecord]:
        """Return the runs that have begun and not ended: they go on, or were killed."""
        rows = self.database.all("SELECT id, deck, started_at FROM runs ORDER BY started_at")
        return [RunRecord(*row) for row in rows]

    def end(self, run: str) -> None:
        """Record that a run is over. Its requests in flight may have been carried out, and charged."""
        with self.database.transaction():
            for request in self.spending.requests_in_flight(run):
                self.spending.settle(request, None, is_lost=True)
            self.database.execute("DELETE FROM runs WHERE id = ?", run)
