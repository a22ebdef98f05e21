"""The ledger of a store: its requests, and the money that is reserved before each and settled after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs

from deckwright.store.cache_entries import CacheEntries, CacheEntry, ProviderRef
from deckwright.store.database import Database

# Sums of dollars are not exact; less than this is nothing.
_ROUNDING_ERROR = 1e-9


def current_day() -> str:
    """Return the day that money spent now counts for: an ISO date."""
    return datetime.now().astimezone().date().isoformat()


@attrs.frozen
class Limit:
    """An amount of money that must not be exceeded."""

    name: str
    dollars: float
    hint: str = ""  # where to raise it
    run: str = ""  # only spending of this run counts; empty for all runs
    since: str = ""  # only spending on this day (ISO) or later counts; empty for all days
    provider: str = ""  # only spending on this provider counts; empty for all providers


@attrs.frozen
class Usage:
    """Money that was charged, and money that may be charged for requests in flight."""

    settled: float
    reserved: float


@attrs.frozen
class Reservation:
    """A request that may now be sent."""

    id: str
    sent_before: float | None = None  # when, if it was, and its outcome is not known; in seconds since 1970
    is_recorded: bool = True  # whether the ledger has it, so that it must be settled


@attrs.frozen
class AlreadyCached:
    """No request need be sent: its key has a cache entry by now."""

    entry: CacheEntry


@attrs.frozen
class LimitReached:
    """No request may be sent: it would exceed a limit."""

    limit: Limit


@attrs.frozen
class MustWait:
    """No request may be sent until another is settled: one for the same key, or one that may cost less."""


@attrs.frozen
class _LostRequest:
    id: str
    run: str
    day: str
    cost: float
    sent_at: float


class Ledger:
    """All requests of a store, and the money for them."""

    def __init__(self, database: Database, entries: CacheEntries) -> None:
        self._database = database
        self._entries = entries

    def reserve(
        self,
        id: str,
        key: str,
        run: str,
        provider: ProviderRef,
        amount: float | None,
        limits: Sequence[Limit],
        now: datetime,
        *,
        is_resumable: bool,
    ) -> Reservation | AlreadyCached | LimitReached | MustWait:
        """Record that a request is about to be sent, and reserve the money for it.

        Args:
            id: The id of a new request. A resumed one keeps its own.
            key: Its cache key.
            run: The run that sends it.
            provider: Who gets it.
            amount: The expected cost in US dollars; None for all that the limits leave, when nobody knows.
            limits: What must not be exceeded.
            now: The time, with its zone; the money counts for its date.
            is_resumable: Whether a request whose outcome is not known may be sent once more at no cost.
        """
        day = now.date().isoformat()
        with self._database.transaction():
            # Another run may have been faster since the caller looked.
            if entry := self._entries.find(key):
                return AlreadyCached(entry)
            if self._database.one("SELECT 1 FROM requests WHERE key = ? AND state = 'asked'", key):
                return MustWait()
            reservation = Reservation(id)
            lost = self._find_lost(key) if is_resumable else None
            if lost:
                # Its cost counts from now on for this run and this day.
                self._add(lost.run, lost.day, provider.name, settled=-lost.cost)
                reservation, amount = Reservation(lost.id, sent_before=lost.sent_at), lost.cost
            if obstacle := self._obstacle(limits, amount):
                if lost:
                    self._add(lost.run, lost.day, provider.name, settled=lost.cost)
                return obstacle
            if amount is None:
                amount = min((limit.dollars - self._usage_of(limit).settled for limit in limits), default=0.0)
            self._database.execute(
                "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?, 'asked', ?, ?, ?)",
                reservation.id, key, run, *attrs.astuple(provider), amount, day, now.timestamp(),
            )  # fmt: skip
            self._add(run, day, provider.name, reserved=amount)
        return reservation

    def _find_lost(self, key: str) -> _LostRequest | None:
        """Return the last request for a key whose outcome is not known."""
        row = self._database.one(
            "SELECT id, run, day, cost, asked_at FROM requests"
            " WHERE key = ? AND state = 'lost' ORDER BY asked_at DESC",
            key,
        )
        return _LostRequest(*row) if row else None

    def _obstacle(self, limits: Sequence[Limit], amount: float | None) -> LimitReached | MustWait | None:
        """Say whether an amount exceeds a limit, or would if all reserved money were charged."""
        if amount == 0:
            return None
        for limit in limits:
            usage = self._usage_of(limit)
            left = limit.dollars - usage.settled
            wanted = left if amount is None else amount
            if wanted > left + _ROUNDING_ERROR or (amount is None and left <= _ROUNDING_ERROR):
                return LimitReached(limit)
            if usage.reserved + wanted > left + _ROUNDING_ERROR:
                return MustWait()
        return None

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
        with self._database.transaction(durable=entry.cost != 0):
            if reservation and reservation.is_recorded:
                self.settle(reservation.id, charged)
            elif charged:
                day = datetime.fromtimestamp(entry.made_at).astimezone().date().isoformat()
                self._add(entry.run, day, entry.provider, settled=charged)
            return self._entries.insert(entry)

    def settle(self, id: str, cost: float | None, *, is_lost: bool = False) -> None:
        """Replace the reserved money of a request by its cost.

        Args:
            id: The request.
            cost: In US dollars; None when it is not known, so that the reserved money counts as spent.
            is_lost: Whether the outcome of the request is not known.
        """
        with self._database.transaction(durable=bool(cost)):
            run, day, provider, reserved = self._database.one(
                "SELECT run, day, provider, cost FROM requests WHERE id = ? AND state = 'asked'", id
            )
            amount = reserved if cost is None else cost
            state = "lost" if is_lost else "answered"
            self._database.execute("UPDATE requests SET state = ?, cost = ? WHERE id = ?", state, amount, id)
            self._add(run, day, provider, settled=amount, reserved=-reserved)

    def _add(self, run: str, day: str, provider: str, *, settled: float = 0.0, reserved: float = 0.0) -> None:
        self._database.execute(
            "INSERT INTO spending VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, day, provider)"
            " DO UPDATE SET settled = settled + excluded.settled, reserved = reserved + excluded.reserved",
            run, day, provider, settled, reserved,
        )  # fmt: skip

    def settle_run(self, run: str) -> None:
        """Settle as lost what a run has in flight: it may have been carried out, and charged."""
        for (id,) in self._database.all("SELECT id FROM requests WHERE run = ? AND state = 'asked'", run):
            self.settle(id, None, is_lost=True)

    def usage(self, *, run: str = "", since: str = "", provider: str = "") -> Usage:
        """Return how much was spent: in all, in one run, from a day on, or on one provider."""
        row = self._database.one(
            "SELECT coalesce(sum(settled), 0.0), coalesce(sum(reserved), 0.0) FROM spending"
            " WHERE (? = '' OR run = ?) AND day >= ? AND (? = '' OR provider = ?)",
            run, run, since, provider, provider,
        )  # fmt: skip
        return Usage(*row)

    def _usage_of(self, limit: Limit) -> Usage:
        return self.usage(run=limit.run, since=limit.since, provider=limit.provider)

    def costs(self, *, run: str = "", since: str = "") -> dict[str, float]:
        """Return how much was charged by each provider: in one run or in all, from a day on."""
        rows = self._database.all(
            "SELECT provider, sum(settled) FROM spending WHERE (? = '' OR run = ?) AND day >= ? GROUP BY provider",
            run, run, since,
        )  # fmt: skip
        return dict(rows)

    def lost_costs(self, since: str = "") -> dict[str, float]:
        """Return how much each provider may have charged for requests whose outcome is not known."""
        rows = self._database.all(
            "SELECT provider, sum(cost) FROM requests WHERE state = 'lost' AND day >= ? GROUP BY provider",
            since,
        )
        return dict(rows)

    def count_requests(self) -> dict[tuple[str, str], int]:
        """Return the number of requests by provider and state: `"asked"`, `"answered"` or `"lost"`."""
        rows = self._database.all("SELECT provider, state, count(*) FROM requests GROUP BY provider, state")
        return {(provider, state): count for provider, state, count in rows}
