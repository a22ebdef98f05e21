"""The error of a store that cannot be used."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deckwright.errors import BuildError


class StoreError(BuildError):
    """The store cannot be used. What was recorded in it before is not lost."""


@contextmanager
def wrap_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the file system and the database into a `StoreError`."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Choose another folder: `store` in [build], or the variable DECKWRIGHT_STORE."
        if "full" in reason or "space" in reason:
            hint = "Make room on that disk and run the same command again: it continues from here."
        raise StoreError(f"The store {folder} cannot be used: {reason}.", hint=hint) from None
