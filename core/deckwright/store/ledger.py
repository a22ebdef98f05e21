"""The ledger: an SQLite database of what was made, what was refused, what was asked, and what it cost.

Every method is one transaction. A connection is shared by the threads of a process; processes wait for each other.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

# A ledger of another version is not touched: it is what somebody paid for.
VERSION = 1
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
-- One request at a time for what is the same, whichever process makes it.
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


@attrs.frozen
class Kept:
    """A finished sound or picture.

    Attributes:
        key: What it is the result of.
        name: The file's name, which is made from its content.
        work: Where it lies until it is moved to its place, from the store's folder on; empty when it surely was.
        bytes: Its size.
        type: What it is: `"audio"` or `"image"`.
        content: The word.
        instance: The configured provider that made it.
        provider: The name by which plugins know that one.
        deck: The only deck that it may be used for; empty when it may be used for any.
        attribution: The credit that is due; empty when none is.
        cost: US dollars; None when that is not known.
        made_at: When, in seconds since 1970.
        run: The build that made it.
    """

    key: str
    name: str
    work: str
    bytes: int
    type: str
    content: str
    instance: str
    provider: str
    deck: str
    attribution: str
    cost: float | None
    made_at: float
    run: str


@attrs.frozen
class Refusal:
    """What a provider said in place of a result, and would say again."""

    error: str
    message: str
    hint: str


@attrs.frozen
class Limit:
    """An amount of money that must not be exceeded.

    Attributes:
        name: What to call it in messages.
        dollars: How much.
        mend: How to raise it.
        run: Only what this run spends counts; empty for all runs.
        since: Only what is spent on this day (ISO) or later counts; empty for all.
        provider: Only what this provider costs counts; empty for all.
    """

    name: str
    dollars: float
    mend: str = ""
    run: str = ""
    since: str = ""
    provider: str = ""


@attrs.frozen
class Spent:
    """How much of a limit is used: what was charged, and what may be charged for requests in flight."""

    settled: float
    reserved: float


@attrs.frozen
class Asked:
    """A request that is to be made, and was made before if `before` says when."""

    id: str
    before: float | None = None


@attrs.frozen
class _Lost:
    """A request of which nobody knows what became."""

    id: str
    run: str
    day: str
    cost: float
    asked_at: float


class Ledger:
    """An open ledger.

    Args:
        file: The database; made when it is not there.

    Raises:
        sqlite3.Error: It cannot be used.
    """

    def __init__(self, file: Path) -> None:
        self._lock = threading.RLock()
        self._database = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            # Kept through a crash of this process. What was paid for is also kept through one of the machine.
            self._database.execute("PRAGMA synchronous = NORMAL")
            with self._changing():
                (version,) = self._database.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _SCHEMA.split(";"):
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA user_version = {VERSION}")
                elif version != VERSION:
                    raise sqlite3.DatabaseError(
                        f"it is of version {version}, and this Deckwright knows version {VERSION}"
                    )
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _changing(self, *, lasting: bool = False) -> Iterator[sqlite3.Connection]:
        """Make changes, all of them or none. Those that last are on the disk before this returns."""
        with self._lock:
            if lasting:
                self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            finally:
                if lasting:
                    self._database.execute("PRAGMA synchronous = NORMAL")

    def _one(self, query: str, *values: Any) -> Any:
        with self._lock:
            return self._database.execute(query, values).fetchone()

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    # What was made

    def kept(self, key: str) -> Kept | None:
        """Return what was made for a key."""
        row = self._one(f"SELECT {_KEPT} FROM media WHERE key = ?", key)
        return Kept(*row) if row else None

    def all_kept(self) -> Iterator[Kept]:
        """Yield everything that was made."""
        for row in self._all(f"SELECT {_KEPT} FROM media"):
            yield Kept(*row)

    def kept_as(self, name: str) -> Kept | None:
        """Return what is known of a file of this name, which is made from its content."""
        row = self._one(f"SELECT {_KEPT} FROM media WHERE name = ? ORDER BY made_at LIMIT 1", name)
        return Kept(*row) if row else None

    def keep(self, kept: Kept, request: str | None, charged: float | None) -> Kept:
        """Record a result, and what it cost, as one step; return what is kept for its key now.

        Args:
            kept: The result; its file is still at `work`.
            request: The request that it answers; None when none was recorded.
            charged: What counts as spent, in US dollars; None for what was reserved.
        """
        # What may have been paid for is on the disk before this returns.
        with self._changing(lasting=kept.cost != 0) as database:
            if request:
                self._settle(request, "answered", charged)
            elif charged:
                day = datetime.fromtimestamp(kept.made_at).astimezone().date().isoformat()
                self._add(kept.run, day, kept.provider, settled=charged)
            database.execute(
                f"INSERT OR IGNORE INTO media ({_KEPT}) VALUES ({', '.join('?' * len(attrs.fields(Kept)))})",
                attrs.astuple(kept),
            )
            database.execute("DELETE FROM refusals WHERE key = ?", (kept.key,))
            row = database.execute(f"SELECT {_KEPT} FROM media WHERE key = ?", (kept.key,)).fetchone()
        return Kept(*row)

    def lost(self, kept: Kept) -> None:
        """Forget a result whose file is not there, unless another has made it anew meanwhile."""
        with self._changing() as database:
            database.execute("DELETE FROM media WHERE key = ? AND made_at = ?", (kept.key, kept.made_at))

    def moved(self, run: str) -> None:
        """Take note that all files of a run are in their places."""
        with self._changing() as database:
            database.execute("UPDATE media SET work = '' WHERE run = ? AND work != ''", (run,))

    def kept_in(self, run: str, work: str) -> Kept | None:
        """Return the result of a run whose file lies at `work`, from the store's folder on."""
        row = self._one(f"SELECT {_KEPT} FROM media WHERE run = ? AND work = ? AND work != ''", run, work)
        return Kept(*row) if row else None

    def forget(self, keys: Iterable[str]) -> None:
        """Forget what was made for these keys."""
        with self._changing() as database:
            database.executemany("DELETE FROM media WHERE key = ?", ((key,) for key in keys))

    # What was refused

    def refusal(self, key: str, since: float) -> Refusal | None:
        """Return what a provider said in place of a result, if it did so since a time."""
        row = self._one("SELECT error, message, hint FROM refusals WHERE key = ? AND at >= ?", key, since)
        return Refusal(*row) if row else None

    def refuse(self, key: str, refusal: Refusal, provider: str, deck: str, at: float) -> None:
        """Record that a provider has nothing for a key."""
        with self._changing() as database:
            database.execute(
                "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key, refusal.error, refusal.message, refusal.hint, provider, deck, at),
            )

    def forget_refusals(self, *, before: float | None = None, provider: str = "", deck: str = "") -> int:
        """Forget refusals, all or some of them; return how many."""
        with self._changing() as database:
            return database.execute(
                "DELETE FROM refusals"
                " WHERE (? IS NULL OR at < ?) AND (? = '' OR provider = ?) AND (? = '' OR deck = ?)",
                (before, before, provider, provider, deck, deck),
            ).rowcount

    def count_refusals(self) -> int:
        """Return how many refusals are remembered."""
        return int(self._one("SELECT count(*) FROM refusals")[0])

    # What was asked, and what it costs

    def ask(
        self,
        asked: Asked,
        key: str,
        run: str,
        names: tuple[str, str, str],
        amount: float | None,
        limits: Sequence[Limit],
        now: datetime,
        *,
        is_resumable: bool,
    ) -> Asked | Limit | Kept | None:
        """Record that a request is about to be made, and reserve the money for it.

        Args:
            asked: The request, new.
            key: What it is for.
            run: The run that makes it.
            names: The type and instance, and the provider's name.
            amount: What it is expected to cost; None for all that the limits leave, when nobody knows.
            limits: What must not be exceeded.
            now: The time, with its zone; its date is the day that the money counts for.
            is_resumable: Whether a request of which nobody knows what became may be made once more at no cost.

        Returns:
            The request to make, which is the old one if there is one to be resumed; the limit that would be
            exceeded; what is kept for the key by now; or None, when it must wait until another request is answered:
            one for the same thing, or one that may cost less than was reserved for it.
        """
        type, instance, provider = names
        day = now.date().isoformat()
        with self._changing() as database:
            # Another may have been faster, between this one's look and its turn.
            row = database.execute(f"SELECT {_KEPT} FROM media WHERE key = ?", (key,)).fetchone()
            if row:
                return Kept(*row)
            if database.execute(
                "SELECT 1 FROM requests WHERE key = ? AND state = 'asked'", (key,)
            ).fetchone():
                return None
            lost = self._lost(key) if is_resumable else None
            if lost:
                # What it may have cost counts from now on as this run's, and today's.
                self._add(lost.run, lost.day, provider, settled=-lost.cost)
                asked, amount = Asked(lost.id, lost.asked_at), lost.cost
            over = self._over(limits, amount)
            if over:
                if lost:
                    self._add(lost.run, lost.day, provider, settled=lost.cost)
                return over if isinstance(over, Limit) else None
            if amount is None:
                amount = min((limit.dollars - self.spent(limit).settled for limit in limits), default=0.0)
            database.execute(
                "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?, 'asked', ?, ?, ?)",
                (asked.id, key, run, type, instance, provider, amount, day, now.timestamp()),
            )
            self._add(run, day, provider, reserved=amount)
        return asked

    def _lost(self, key: str) -> _Lost | None:
        """Return the last request for a key of which nobody knows what became."""
        row = self._one(
            "SELECT id, run, day, cost, asked_at FROM requests"
            " WHERE key = ? AND state = 'lost' ORDER BY asked_at DESC",
            key,
        )
        return _Lost(*row) if row else None

    def _over(self, limits: Sequence[Limit], amount: float | None) -> Limit | bool:
        """Return the limit that an amount would exceed, or whether it might: should all that is reserved be charged."""
        if amount == 0:
            return False
        for limit in limits:
            spent = self.spent(limit)
            left = limit.dollars - spent.settled
            wanted = left if amount is None else amount
            if wanted > left + _DUST or (amount is None and left <= _DUST):
                return limit
            if spent.reserved + wanted > left + _DUST:
                return True
        return False

    def answered(self, request: str, cost: float | None, *, is_lost: bool = False) -> None:
        """Record that a request was answered without a result, or that nobody knows what became of it.

        Args:
            request: The request.
            cost: What it cost all the same; None when that is not known: then what was reserved counts as spent.
            is_lost: Whether nobody knows what became of it.
        """
        with self._changing(lasting=bool(cost)):
            self._settle(request, "lost" if is_lost else "answered", cost)

    def _settle(self, request: str, state: str, cost: float | None) -> None:
        """Replace what was reserved by what was charged; where that is not known, the former stands for it."""
        run, day, provider, reserved = self._one(
            "SELECT run, day, provider, cost FROM requests WHERE id = ? AND state = 'asked'", request
        )
        amount = reserved if cost is None else cost
        self._database.execute(
            "UPDATE requests SET state = ?, cost = ? WHERE id = ?", (state, amount, request)
        )
        self._add(run, day, provider, settled=amount, reserved=-reserved)

    def _add(self, run: str, day: str, provider: str, *, settled: float = 0.0, reserved: float = 0.0) -> None:
        self._database.execute(
            "INSERT INTO spending VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, day, provider)"
            " DO UPDATE SET settled = settled + excluded.settled, reserved = reserved + excluded.reserved",
            (run, day, provider, settled, reserved),
        )

    def spent(self, limit: Limit) -> Spent:
        """Return how much of a limit is used."""
        return Spent(
            *self._one(
                "SELECT coalesce(sum(settled), 0.0), coalesce(sum(reserved), 0.0) FROM spending"
                " WHERE (? = '' OR run = ?) AND day >= ? AND (? = '' OR provider = ?)",
                limit.run, limit.run, limit.since, limit.provider, limit.provider,
            )
        )  # fmt: skip

    def spent_by_provider(self, run: str = "", since: str = "") -> dict[str, float]:
        """Return what was charged, by provider: in one run, or in all, from a day on."""
        rows = self._all(
            "SELECT provider, sum(settled) FROM spending WHERE (? = '' OR run = ?) AND day >= ? GROUP BY provider",
            run, run, since,
        )  # fmt: skip
        return {provider: float(amount) for provider, amount in rows}

    def count_requests(self) -> dict[tuple[str, str], int]:
        """Return how many requests there were, by provider and state: asked, answered or lost."""
        rows = self._all("SELECT provider, state, count(*) FROM requests GROUP BY provider, state")
        return {(provider, state): int(count) for provider, state, count in rows}

    # Runs

    def begin(self, run: str, deck: str, at: float) -> None:
        """Record that a run begins."""
        with self._changing() as database:
            database.execute("INSERT INTO runs VALUES (?, ?, ?)", (run, deck, at))

    def runs(self) -> list[str]:
        """Return the runs that have begun and not ended: they go on, or were killed."""
        return [id for (id,) in self._all("SELECT id FROM runs")]

    def end(self, run: str) -> None:
        """Record that a run is over. What it had asked and not heard of may have been done, and charged."""
        with self._changing() as database:
            asked = database.execute(
                "SELECT id FROM requests WHERE run = ? AND state = 'asked'", (run,)
            ).fetchall()
            for (request,) in asked:
                self._settle(request, "lost", None)
            database.execute("DELETE FROM runs WHERE id = ?", (run,))

    def running(self) -> list[tuple[str, str, float]]:
        """Return the runs that have begun and not ended, each with its deck and when it began."""
        return self._all("SELECT id, deck, started_at FROM runs ORDER BY started_at")

    # All of it, to be shown and to be taken away

    def tally(self) -> list[tuple[str, str, str, int, int, float]]:
        """Return how much is kept, by type, provider and the only deck: files, their bytes, what they cost."""
        return self._all(
            "SELECT type, provider, deck, count(*), sum(bytes), sum(cost) FROM ("
            " SELECT type, provider, deck, max(bytes) AS bytes, coalesce(sum(cost), 0.0) AS cost"
            " FROM media GROUP BY type, provider, deck, name"
            ") GROUP BY type, provider, deck"
        )

    def lost_by_provider(self, since: str = "") -> dict[str, float]:
        """Return what may have been charged, by provider, for requests of which nobody knows what became."""
        return dict(
            self._all(
                "SELECT provider, sum(cost) FROM requests WHERE state = 'lost' AND day >= ? GROUP BY provider",
                since,
            )
        )

    def keys_of_files(self) -> list[tuple[str, str, str]]:
        """Return the key, name and only deck of everything that is kept and surely in its place."""
        return self._all("SELECT key, name, deck FROM media WHERE work = ''")

    def names_in_use(self) -> set[tuple[str, str]]:
        """Return the name and only deck of everything that is kept."""
        return set(self._all("SELECT name, deck FROM media"))

    def made_for(
        self, *, before: float | None = None, provider: str = "", deck: str = ""
    ) -> list[tuple[str, str, str, str, str, int, float | None, bool]]:
        """Return what is kept, all or some of it.

        Args:
            before: Only what was made before this time.
            provider: Only what is this provider's.
            deck: Only what may be used for this deck alone.

        Returns:
            For each the key, name, type, provider, only deck, bytes, cost, and whether a request was made for it.
        """
        return self._all(
            "SELECT key, name, type, provider, deck, bytes, cost,"
            " key IN (SELECT key FROM requests WHERE state = 'answered') FROM media"
            " WHERE (? IS NULL OR made_at < ?) AND (? = '' OR provider = ?) AND (? = '' OR deck = ?)",
            before, before, provider, provider, deck, deck,
        )  # fmt: skip

    def count_refusals_of(self, *, before: float | None = None, provider: str = "", deck: str = "") -> int:
        """Return how many refusals `forget_refusals` would forget."""
        (count,) = self._one(
            "SELECT count(*) FROM refusals"
            " WHERE (? IS NULL OR at < ?) AND (? = '' OR provider = ?) AND (? = '' OR deck = ?)",
            before, before, provider, provider, deck, deck,
        )  # fmt: skip
        return int(count)

    def compact(self) -> None:
        """Give the disk back what the database does not use any more, where that is much of it."""
        with self._lock:
            (free,) = self._database.execute("PRAGMA freelist_count").fetchone()
            (pages,) = self._database.execute("PRAGMA page_count").fetchone()
            if free > max(pages // 4, _FEW_PAGES):
                self._database.execute("VACUUM")
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# Sums of dollars are not exact; what is less than this is nothing.
_DUST = 1e-9
# Not worth a rewrite of the database.
_FEW_PAGES = 256
_KEPT = ", ".join(field.name for field in attrs.fields(Kept))
