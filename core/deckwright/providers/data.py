"""The contract of providers of data: word lists, and whatever else a deck is made from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any

import attrs
from msgspec import Meta

from deckwright.config.settings import read_settings
from deckwright.errors import DataError, ReadOnlyError
from deckwright.providers.base import Provider


@attrs.define
class DataSettings:
    """The settings that every data provider takes; one with more derives its own class from this."""

    files: Annotated[
        list[str], Meta(description="the only identifiers that this provider manages; all, when empty")
    ] = attrs.field(factory=list)
    read_only: Annotated[bool, Meta(description="forbid writing")] = False


class DataProvider(Provider, ABC):
    """A source of data, each piece of it known by an identifier: for files, the path below a base folder.

    A word list is a list of dicts, one a word: `word`, and `translation`, `reading`, `example`, `tags` where
    they are known, and any other columns under their own names.
    """

    _read_only = False
    _managed_files: Sequence[str] = ()

    @abstractmethod
    def _load_data_impl(self, identifier: str) -> Any:
        """Return what is kept under `identifier`."""

    @abstractmethod
    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        """Keep `data` under `identifier`; say whether it was kept."""

    @abstractmethod
    def exists(self, identifier: str) -> bool:
        """Say whether anything is kept under `identifier`."""

    @abstractmethod
    def list_identifiers(self) -> list[str]:
        """Return the identifiers of all that is kept, sorted."""

    def load_data(self, identifier: str) -> Any:
        """Return what is kept under `identifier`.

        Raises:
            DataError: There is no such thing, it cannot be read, or this provider does not manage it.
        """
        self._require_managed(identifier)
        return self._load_data_impl(identifier)

    def save_data(self, identifier: str, data: Any) -> bool:
        """Keep `data` under `identifier`; say whether it was kept.

        Raises:
            ReadOnlyError: The provider is read-only; it is a `PermissionError`.
            DataError: It cannot be written, or this provider does not manage it.
        """
        self._require_writable(identifier)
        return self._save_data_impl(identifier, data)

    def backup_data(self, identifier: str) -> str | None:
        """Keep a copy of what is under `identifier`; return its identifier, or None when none was made."""
        return None

    @property
    def is_read_only(self) -> bool:
        """Whether writing is forbidden."""
        return self._read_only

    @property
    def managed_files(self) -> list[str]:
        """The identifiers that this provider manages; any, when empty."""
        return list(self._managed_files)

    def set_read_only(self, read_only: bool) -> None:
        """Forbid or allow writing."""
        self._read_only = read_only

    def set_managed_files(self, files: Sequence[str]) -> None:
        """Say which identifiers this provider manages; any, when empty."""
        self._managed_files = list(files)

    def _setup_from_config(self) -> None:
        common = read_settings(DataSettings, self.config)
        self.set_managed_files(common.files)
        self.set_read_only(common.read_only)

    def _require_managed(self, identifier: str) -> None:
        if self._managed_files and identifier not in self._managed_files:
            managed = ", ".join(self._managed_files)
            raise DataError(f"{identifier!r} is not managed by this provider, which manages {managed}.")

    def _require_writable(self, identifier: str) -> None:
        self._require_managed(identifier)
        if self._read_only:
            raise ReadOnlyError(
                f"{identifier!r} cannot be written: its provider is read-only.",
                hint="Set read_only = false in its configuration to allow it.",
            )
