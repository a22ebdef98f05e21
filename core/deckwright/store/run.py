"""A run: one build at work on a store, with the requests it makes, the results it keeps, and the money it may spend."""

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

from filelock import FileLock

from deckwright.store.folder import Place, Store
from deckwright.store.ledger import Asked, Kept, Limit, Refusal

# Seconds after which to look again whether a request of another process is answered.
_LOOK_AGAIN = 0.2


class Run:
    """A build at work on a store. It is used as a context, and from several threads.

    Args:
        store: The store.
        deck: What is built.

    Attributes:
        id: What the ledger calls it.
        folder: For files that are not finished.

    Raises:
        StoreError: The store cannot be written.
    """

    def __init__(self, store: Store, deck: str) -> None:
        self.store = store
        self.deck = deck
        self.id = uuid.uuid4().hex
        self.folder = store.work_of(self.id)
        self._lock = FileLock(store.lock_of(self.id), thread_local=False)
        self._settled = threading.Condition()
        self._recovering = threading.Lock()
        self._numbers = itertools.count(1)
        self._cost: float | None = None  # until something more is settled

    def __enter__(self) -> Run:
        with self.store.told("cannot be written"), self.store.gate():
            self._lock.acquire(blocking=False)
            try:
                self.store.ledger.begin(self.id, self.deck, time.time())
                self.folder.mkdir()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self.store.told("cannot be written"):
                self.store.finish(self.id)
        finally:
            self._lock.release()
            self.store.unlock(self.id)

    @property
    def cost(self) -> float:
        """What this run has cost so far, in US dollars."""
        if self._cost is None:
            self._cost = self.store.ledger.spent(Limit("", 0.0, run=self.id)).settled
        return self._cost

    def new_file(self, suffix: str) -> Path:
        """Return a name for a file that is not finished, which no other has."""
        return self.folder / f"new-{next(self._numbers)}{suffix}"

    def ask(
        self,
        key: str,
        names: tuple[str, str, str],
        amount: Callable[[], float | None],
        limits: Sequence[Limit],
        *,
        is_resumable: bool,
        is_over: Callable[[], bool],
    ) -> Asked | Limit | Kept | None:
        """Record that a request is about to be made, as soon as there is money for it.

        Args:
            key: What it is for.
            names: The type and instance, and the provider's name.
            amount: Says what it is expected to cost, in US dollars; None when nobody knows yet.
            limits: What must not be exceeded.
            is_resumable: Whether a request of which nobody knows what became may be made once more at no cost.
            is_over: Says whether to wait no longer.

        Returns:
            The request to make; the limit that forbids it; what another has made for the same key meanwhile; or
            None, when the waiting is over.
        """
        self.store.require_room()
        new = Asked(str(uuid.uuid4()))
        while not is_over():
            expected = amount()
            with self._settled:
                if expected is None:
                    expected = amount()  # which another may have found out
                with self.store.told("cannot be written"):
                    answer = self.store.ledger.ask(
                        new, key, self.id, names, expected, limits, datetime.now().astimezone(),
                        is_resumable=is_resumable,
                    )  # fmt: skip
                if answer is None:
                    self._settled.wait(_LOOK_AGAIN)
            if isinstance(answer, Kept):
                # Unless its file was deleted, of which `find` takes note.
                if kept := self.find(key):
                    return kept
            elif answer is not None:
                return answer
            elif self._recovering.acquire(blocking=False):
                # Whoever makes it may have been killed. That one of those who wait looks is enough.
                try:
                    self.store.recover()
                finally:
                    self._recovering.release()
        return None

    def find(self, key: str) -> Kept | None:
        """Return what is kept for a key."""
        with self.store.told("cannot be read"):
            return self.store.find(key)

    def refusal(self, key: str, since: float) -> Refusal | None:
        """Return what a provider said in place of a result, if it did so since a time."""
        with self.store.told("cannot be read"):
            return self.store.ledger.refusal(key, since)

    def take(self, file: Path, ending: str) -> Path:
        """Return a file as one within this run's folder: one that is elsewhere is the provider's own, and copied.

        Raises:
            OSError: It cannot be read.
        """
        return file if file.parent == self.folder else Path(shutil.copyfile(file, self.new_file(ending)))

    def keep(
        self,
        file: Path,
        ending: str,
        key: str,
        names: tuple[str, str, str],
        *,
        content: str,
        place: Place,
        attribution: str,
        cost: float | None,
        charged: float | None,
        request: Asked | None,
    ) -> Kept:
        """Keep a finished file; return what is kept for its key now, should another have been faster.

        Args:
            file: The file, within this run's folder.
            ending: The ending of its name, such as `".mp3"`.
            key: What it is the result of.
            names: The type and instance, and the provider's name.
            content: The word.
            place: Whose it is.
            attribution: The credit that is due.
            cost: What it cost, in US dollars; None when that is not known.
            charged: What counts as spent for it; None for what was reserved.
            request: The request that it answers; None when none was recorded.
        """
        type, instance, provider = names
        with self.store.told("cannot be written"):
            made = Kept(
                key=key,
                name=_name_of(file, ending),
                work=f"runs/{self.id}/{file.name}",
                bytes=file.stat().st_size,
                type=type,
                content=content,
                instance=instance,
                provider=provider,
                deck=place.deck,
                attribution=attribution,
                cost=cost,
                made_at=time.time(),
                run=self.id,
            )
            if cost != 0:
                with file.open("rb") as paid:
                    os.fsync(paid.fileno())
            kept = self.store.ledger.keep(made, request.id if request else None, charged)
            if not self.store.move(kept):
                # It was another's, and its file is gone.
                self.store.ledger.lost(kept)
                kept = self.store.ledger.keep(made, None, 0.0)
                self.store.move(kept)
        self._tell_settled()
        return kept

    def keep_for_now(self, file: Path, ending: str) -> Path:
        """Keep a finished file within this run's folder for as long as the run goes on; return where."""
        with self.store.told("cannot be written"):
            return file.replace(file.with_name(_name_of(file, ending)))

    def refused(self, key: str, refusal: Refusal, provider: str, place: Place) -> None:
        """Record that a provider has nothing for a key."""
        with self.store.told("cannot be written"):
            self.store.ledger.refuse(key, refusal, provider, place.deck, time.time())

    def answered(self, request: Asked, cost: float | None, *, is_lost: bool) -> None:
        """Record that a request was answered without a result, or that nobody knows what became of it.

        Args:
            request: The request.
            cost: What was charged all the same, in US dollars; None when that is not known: then what was expected
                counts.
            is_lost: Whether nobody knows what became of it.
        """
        with self.store.told("cannot be written"):
            self.store.ledger.answered(request.id, cost, is_lost=is_lost)
        self._tell_settled()

    def _tell_settled(self) -> None:
        self._cost = None
        with self._settled:
            self._settled.notify_all()


def _name_of(file: Path, ending: str) -> str:
    """Return a name that is made from a file's content, so that the same sound or picture is the same file."""
    return f"deckwright-{hashlib.sha256(file.read_bytes()).hexdigest()[:20]}{ending}"
