"""A run: the session of one build on a store, with its requests, its results and the money that it may spend."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

import attrs
from filelock import FileLock

from deckwright.store.cache_entries import CacheEntry, ProviderRef
from deckwright.store.folder import RunRecord, Store
from deckwright.store.ledger import AlreadyCached, Limit, LimitReached, MustWait, Reservation

# Seconds between checks whether a request of another process is settled.
_POLL_INTERVAL = 0.2


class Run:
    """The session of one build on a store. It is used as a context, and from several threads.

    Attributes:
        id: Its id in the ledger.
        folder: The folder for unfinished files.

    Raises:
        StoreError: The store cannot be used; every method may raise it.
    """

    def __init__(self, store: Store, deck: str) -> None:
        self.store = store
        self.deck = deck
        self.id = uuid.uuid4().hex
        self.folder = store.run_folder(self.id)
        self._lock = FileLock(store.run_lock(self.id), thread_local=False)
        self._settled = threading.Condition()
        self._recovering = threading.Lock()
        self._numbers = itertools.count(1)
        self._cost: float | None = None  # until more is settled

    def __enter__(self) -> Run:
        with self.store.wrap_errors(), self.store.startup_lock():
            self._lock.acquire(blocking=False)
            try:
                self.store.begin(RunRecord(self.id, self.deck, time.time()))
                self.folder.mkdir()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self.store.wrap_errors():
                self.store.finish(self.id)
        finally:
            self._lock.release()
            self.store.remove_lock(self.id)

    @property
    def cost(self) -> float:
        """What this run has cost so far, in US dollars."""
        if self._cost is None:
            self._cost = self.store.ledger.usage(run=self.id).settled
        return self._cost

    def reserve(
        self,
        key: str,
        provider: ProviderRef,
        expected_cost: Callable[[], float | None],
        limits: Sequence[Limit],
        *,
        is_resumable: bool,
        is_stopping: Callable[[], bool],
    ) -> Reservation | AlreadyCached | LimitReached | None:
        """Wait until a request may be sent, record it, and reserve the money for it.

        Arguments as in `Ledger.reserve`; `expected_cost` is called for the amount as often as it may have changed. When
        the build is stopping, the outcome is None.
        """
        self.store.require_room()
        id = str(uuid.uuid4())
        while not is_stopping():
            amount = expected_cost()
            with self._settled:
                if amount is None:
                    amount = expected_cost()  # another thread may have found out
                outcome = self.store.ledger.reserve(
                    id, key, self.id, provider, amount, limits, datetime.now().astimezone(),
                    is_resumable=is_resumable,
                )  # fmt: skip
                if isinstance(outcome, MustWait):
                    self._settled.wait(_POLL_INTERVAL)
            if isinstance(outcome, MustWait):
                self._recover_others()
            # If the file of an entry was deleted, `find` removes the entry, and the next attempt may succeed.
            elif not isinstance(outcome, AlreadyCached) or self.store.find(key):
                return outcome
        return None

    def _recover_others(self) -> None:
        """Finish other runs that were killed: they may hold a reservation. One waiting thread is enough for that."""
        if self._recovering.acquire(blocking=False):
            try:
                self.store.recover()
            finally:
                self._recovering.release()

    def settle(self, reservation: Reservation, cost: float | None, *, is_lost: bool) -> None:
        """Record the end of a request that brought no file; arguments as in `Ledger.settle`."""
        if reservation.is_recorded:
            self.store.ledger.settle(reservation.id, cost, is_lost=is_lost)
            self._notify_settled()

    def new_file(self, suffix: str) -> Path:
        """Return a path for an unfinished file, which no other file has."""
        return self.folder / f"new-{next(self._numbers)}{suffix}"

    def import_file(self, file: Path, ending: str) -> Path:
        """Return a file within this run's folder; one from elsewhere is copied, since it is the provider's own.

        Raises:
            OSError: It cannot be read.
        """
        return file if file.parent == self.folder else Path(shutil.copyfile(file, self.new_file(ending)))

    def keep_temporarily(self, file: Path, ending: str) -> Path:
        """Give a finished file its name within this run's folder, which ends with the run; return its path."""
        with self.store.wrap_errors():
            return file.replace(file.with_name(_name_of(file, ending)))

    def record(
        self,
        file: Path,
        ending: str,
        entry: CacheEntry,
        charged: float | None,
        reservation: Reservation | None,
    ) -> CacheEntry:
        """Record a finished file of this run's folder; return the entry of its key, which may be a faster run's.

        Arguments as in `Ledger.record`; the file gets its name and `ending`.
        """
        with self.store.wrap_errors():
            new = attrs.evolve(
                entry,
                name=_name_of(file, ending),
                work=f"runs/{self.id}/{file.name}",
                bytes=file.stat().st_size,
                made_at=time.time(),
                run=self.id,
            )
            if new.cost != 0:
                with file.open("rb") as paid:
                    os.fsync(paid.fileno())
            recorded = self.store.ledger.record(new, charged, reservation)
            if not self.store.move(recorded):
                # It was another run's, and its file does not exist any more.
                self.store.entries.remove(recorded)
                recorded = self.store.ledger.record(new, 0.0)
                self.store.move(recorded)
        self._notify_settled()
        return recorded

    def _notify_settled(self) -> None:
        self._cost = None
        with self._settled:
            self._settled.notify_all()


def _name_of(file: Path, ending: str) -> str:
    """Return a name that is made from a file's content, so that the same sound or picture is the same file."""
    return f"deckwright-{hashlib.sha256(file.read_bytes()).hexdigest()[:20]}{ending}"
