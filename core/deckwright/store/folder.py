"""The folder of a store: where it is, what lies where in it, and what builds that were killed have left behind.

lock              held for the moments in which builds begin, and in which dead ones are cleared away
ledger.sqlite     what is known of everything else
media/3f/         sounds and pictures, by the beginning of their digests
decks/9c0d/       those that may be used for one deck only
runs/ID.lock      held by a build for as long as it runs, which shows others that it does
runs/ID/          what that build has not finished yet
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import attrs
from filelock import FileLock, Timeout

from deckwright.errors import BuildError
from deckwright.store.ledger import Kept, Ledger

ENVIRONMENT_VARIABLE = "DECKWRIGHT_STORE"
# Bytes that must be free before anything is asked for, lest what comes cannot be kept.
ROOM = 32_000_000


class StoreError(BuildError):
    """The store cannot be read or written. What was recorded in it before is not lost."""


def default_folder() -> Path:
    """Return where the store is, unless a configuration says otherwise.

    That is the folder that the environment variable `DECKWRIGHT_STORE` names, or the system's folder for the data of
    a user's programs; not that for caches, which may be emptied at any time: a store holds what was paid for.
    """
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("deckwright", appauthor=False)


@attrs.frozen
class Place:
    """Whose a result is: any deck's, or that of one deck alone."""

    deck: str = ""

    def path(self, name: str) -> str:
        """Return where a file of this name is, from the store's folder on."""
        if self.deck:
            return f"decks/{hashlib.sha256(self.deck.encode()).hexdigest()[:16]}/{name}"
        # deckwright-3f0c....mp3
        return f"media/{name.partition('-')[2][:2]}/{name}"


class Store:
    """An open store.

    Args:
        folder: Where it is, or is to be.

    Attributes:
        folder: The same, as an absolute path.
        ledger: What is known of everything in it.

    Raises:
        StoreError: It cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        with self.told("cannot be used"):
            (self.folder / "runs").mkdir(parents=True, exist_ok=True)
            with self.gate():
                self.ledger = Ledger(self.folder / "ledger.sqlite")
        try:
            self.recover()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Say whether there is a store at a folder already."""
        return (folder / "ledger.sqlite").is_file()

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def gate(self) -> FileLock:
        """Return the lock under which runs begin and are cleared away, as a context."""
        return FileLock(self.folder / "lock")

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Turn what goes wrong with the file system or the database into a `StoreError`."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            said = getattr(error, "strerror", None) or str(error)
            hint = f"Name another folder, by `store` in [build] or the variable {ENVIRONMENT_VARIABLE}."
            if "full" in said or "space" in said:
                hint = (
                    "Make room on that disk, and run the same command again: it goes on where this one ended."
                )
            raise StoreError(f"The store {self.folder} {what}: {said}.", hint=hint) from None

    def require_room(self) -> None:
        """Make sure that a result could be written, before it is paid for.

        Raises:
            StoreError: The disk is full.
        """
        with self.told("cannot be written"):
            if (free := shutil.disk_usage(self.folder).free) < ROOM:
                raise OSError(None, f"there is no space left on the disk ({free / 1e6:.0f} MB)")

    def find(self, key: str) -> Kept | None:
        """Return what is kept for a key, having made sure that its file is there."""
        kept = self.ledger.kept(key)
        if kept is None or self._is_whole(kept) or (kept.work and self.move(kept)):
            return kept
        # Somebody deleted it, or the machine has crashed and lost what was in it.
        self.ledger.lost(kept)
        return None

    def _is_whole(self, kept: Kept) -> bool:
        try:
            return os.stat(self.file(kept)).st_size == kept.bytes  # noqa: PTH116 - of a hundred thousand
        except OSError:
            return False

    def file(self, kept: Kept) -> str:
        """Return where the file of a result is."""
        return f"{self.folder}{os.sep}{Place(kept.deck).path(kept.name)}"

    def move(self, kept: Kept) -> bool:
        """Move the file of a result to its place, if nobody has yet; say whether it is there."""
        work, file = self.folder / kept.work, Path(self.file(kept))
        if not kept.work:  # somebody has
            return self._is_whole(kept)
        if self._is_whole(kept):  # the same was made before, perhaps for another word
            with suppress(OSError):
                work.unlink()
            return True
        with suppress(FileNotFoundError):
            try:
                work.replace(file)
            except FileNotFoundError:  # the one or the other
                file.parent.mkdir(parents=True, exist_ok=True)
                work.replace(file)
            return True
        return self._is_whole(kept)

    def recover(self) -> None:
        """Finish what builds have left behind that were killed."""
        with self.told("cannot be put in order"), self.gate():
            begun = set(self.ledger.runs())
            left = {path.name.removesuffix(".lock") for path in (self.folder / "runs").iterdir()}
            for run in begun | left:
                with suppress(Timeout):
                    with FileLock(self.lock_of(run), blocking=False):
                        self.finish(run)
                    self.unlock(run)

    def finish(self, run: str) -> None:
        """Move what a run has made to its place, remove what it has not finished, and record that it is over."""
        work = self.work_of(run)
        for file in work.iterdir() if work.is_dir() else ():
            if kept := self.ledger.kept_in(run, f"runs/{run}/{file.name}"):
                self.move(kept)
        self.ledger.moved(run)
        shutil.rmtree(work, ignore_errors=True)
        self.ledger.end(run)

    def unlock(self, run: str) -> None:
        """Remove the lock of a run that is over, which nobody holds any more."""
        with suppress(OSError):  # who just looks whether it is held; the next one will remove it
            self.lock_of(run).unlink()

    def work_of(self, run: str) -> Path:
        """Return the folder for what a run has not finished yet."""
        return self.folder / "runs" / run

    def lock_of(self, run: str) -> Path:
        """Return the file that a run holds locked."""
        return self.folder / "runs" / f"{run}.lock"
