"""The folder of a store: where it is, which files it holds, and how it recovers from builds that were killed.

lock              held for the moments in which builds begin, and in which killed ones are cleared away
ledger.sqlite     what is known about everything else
media/3f/         sounds and pictures, by the beginning of their digests
decks/9c0d/       those that only one deck may use
runs/ID.lock      held by a build for as long as it runs, so that others see that it does
runs/ID/          the files that the build has not finished yet
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

import attrs
from filelock import FileLock, Timeout

from deckwright.store.cache_entries import CacheEntries, CacheEntry
from deckwright.store.database import Database
from deckwright.store.errors import wrap_errors
from deckwright.store.ledger import Ledger

ENVIRONMENT_VARIABLE = "DECKWRIGHT_STORE"
# So many bytes must be free before a request is sent, so that its result can be saved.
MIN_FREE_BYTES = 32_000_000


def default_folder() -> Path:
    """Return where the store is, unless a configuration names another folder.

    That is the folder in the environment variable `DECKWRIGHT_STORE`, or the system's folder for the data of a user's
    programs. It is not the one for caches, which may be emptied at any time: a store holds what was paid for.
    """
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("deckwright", appauthor=False)


@attrs.frozen
class RunRecord:
    """A run that has begun and not ended: its id and deck, and when it began, in seconds since 1970."""

    id: str
    deck: str
    started_at: float


class Store:
    """An open store; its folder is created when it does not exist.

    Attributes:
        folder: Its absolute path.
        entries: The cache entries.
        ledger: The requests, and the money for them.

    Raises:
        StoreError: It cannot be used; every method may raise it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        with self.wrap_errors():
            (self.folder / "runs").mkdir(parents=True, exist_ok=True)
            with self.startup_lock():
                self.database = Database(self.folder / "ledger.sqlite")
        self.entries = CacheEntries(self.database)
        self.ledger = Ledger(self.database, self.entries)
        try:
            self.recover()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def exists(folder: Path) -> bool:
        """Say whether a folder already holds a store."""
        return (folder / "ledger.sqlite").is_file()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def startup_lock(self) -> FileLock:
        """Return the lock under which runs begin and are cleared away, as a context."""
        return FileLock(self.folder / "lock")

    def wrap_errors(self) -> AbstractContextManager[None]:
        """Turn errors of the file system and the database into a `StoreError`, as a context."""
        return wrap_errors(self.folder)

    def require_room(self) -> None:
        """Make sure that there is space on the disk for a result, before it is paid for."""
        with self.wrap_errors():
            if (free := shutil.disk_usage(self.folder).free) < MIN_FREE_BYTES:
                raise OSError(None, f"there is no space left on the disk ({free / 1e6:.0f} MB)")

    def find(self, key: str) -> CacheEntry | None:
        """Return the cache entry for a key, having made sure that its file exists."""
        entry = self.entries.find(key)
        if entry is None or self._size_matches(entry) or (entry.work and self.move(entry)):
            return entry
        # Somebody deleted it, or the machine has crashed and lost its content.
        self.entries.remove(entry)
        return None

    def _size_matches(self, entry: CacheEntry) -> bool:
        try:
            return os.stat(self.file(entry)).st_size == entry.bytes  # noqa: PTH116 - of a hundred thousand
        except OSError:
            return False

    def file(self, entry: CacheEntry) -> str:
        """Return the final path of a file."""
        return f"{self.folder}{os.sep}{entry.path}"

    def move(self, entry: CacheEntry) -> bool:
        """Move a file to its final path, if nobody has yet; say whether it is there."""
        if entry.work and not self._size_matches(entry):
            file = Path(self.file(entry))
            with self.wrap_errors():
                file.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # another process has moved it
                    (self.folder / entry.work).replace(file)
        elif entry.work:  # the same file was made before, perhaps for another word
            with suppress(OSError):
                (self.folder / entry.work).unlink()
        return self._size_matches(entry)

    def recover(self) -> None:
        """Finish the runs of builds that were killed."""
        with self.wrap_errors(), self.startup_lock():
            begun = {run.id for run in self.runs()}
            remaining = {path.name.removesuffix(".lock") for path in (self.folder / "runs").iterdir()}
            for run in begun | remaining:
                with suppress(Timeout):
                    with FileLock(self.run_lock(run), blocking=False):
                        self.finish(run)
                    self.remove_lock(run)

    def runs(self) -> list[RunRecord]:
        """Return the runs that have begun and not ended: they go on, or were killed."""
        rows = self.database.all("SELECT id, deck, started_at FROM runs ORDER BY started_at")
        return [RunRecord(*row) for row in rows]

    def begin(self, run: RunRecord) -> None:
        """Record that a run begins."""
        self.database.execute("INSERT INTO runs VALUES (?, ?, ?)", *attrs.astuple(run))

    def finish(self, run: str) -> None:
        """Move the finished files of a run, remove the unfinished ones, and record that it is over."""
        work = self.run_folder(run)
        for file in work.iterdir() if work.is_dir() else ():
            if entry := self.entries.find_unmoved(run, f"runs/{run}/{file.name}"):
                self.move(entry)
        self.entries.mark_moved(run)
        shutil.rmtree(work, ignore_errors=True)
        self.end(run)

    def end(self, run: str) -> None:
        """Record that a run is over."""
        with self.database.transaction():
            self.ledger.settle_run(run)
            self.database.execute("DELETE FROM runs WHERE id = ?", run)

    def remove_lock(self, run: str) -> None:
        """Remove the lock of a run that is over, which nobody holds any more."""
        with suppress(OSError):  # another process is testing whether it is held; the next one will remove it
            self.run_lock(run).unlink()

    def run_folder(self, run: str) -> Path:
        """Return the folder for the unfinished files of a run."""
        return self.folder / "runs" / run

    def run_lock(self, run: str) -> Path:
        """Return the file that a run holds locked."""
        return self.folder / "runs" / f"{run}.lock"
