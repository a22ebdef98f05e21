"""The contract of data providers: word lists, and other data that a deck is made from."""

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
    """The settings of every data provider. One with more settings derives its own class from this one."""

    files: Annotated[
        list[str], Meta(description="the only identifiers that this provider manages; all, when empty")
    ] = attrs.field(factory=list)
    read_only: Annotated[bool, Meta(description="forbid writing")] = False


class DataProvider(Provider, ABC):
    """A source of data, in which each item has an identifier: for a file, its path below a base folder.

    A word list is a list of dicts, one per word: `word`, and `translation`, `reading`, `example` and `tags` if they
    are known. Any other columns keep their own names.
    """

    _read_only = False
    _managed_files: Sequence[str] = ()

    @abstractmethod
    def _load_data_impl(self, identifier: str) -> Any:
        """Return the data of `identifier`."""

    @abstractmethod
    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        """Save `data` as `identifier`; return whether it was saved."""

    @abstractmethod
    def exists(self, identifier: str) -> bool:
        """Return whether there is data for `identifier`."""

    @abstractmethod
    def list_identifiers(self) -> list[str]:
        """Return all identifiers, sorted."""

    def load_data(self, identifier: str) -> Any:
        """Return the data of `identifier`.

        Raises:
            DataError: It does not exist, cannot be read, or is not managed by this provider.
        """
        self._require_managed(identifier)
        return self._load_data_impl(identifier)

    def save_data(self, identifier: str, data: Any) -> bool:
        """Save `data` as `identifier`; return whether it was saved.

        Raises:
            ReadOnlyError: The provider is read-only. This is also a `PermissionError`.
            DataError: It cannot be written, or is not managed by this provider.
        """
        self._require_writable(identifier)
        return self._save_data_impl(identifier, data)

    def backup_data(self, identifier: str) -> str | None:
        """Copy the data of `identifier`; return the identifier of the copy, or None if none was made."""
        return None

    @property
    def is_read_only(self) -> bool:
        """Whether writing is forbidden."""
        return self._read_only

    @property
    def managed_files(self) -> list[str]:
        """The identifiers that this provider manages; if empty, all."""
        return list(self._managed_files)

    def set_read_only(self, read_only: bool) -> None:
        """Forbid or allow writing."""
        self._read_only = read_only

    def set_managed_files(self, files: Sequence[str]) -> None:
        """Set the identifiers that this provider manages; if empty, all."""
        self._managed_files = list(files)

    def _setup_from_config(self) -> None:
        common = read_settings(DataSettings, self.config)
        self.set_managed_files(common.files)
        self.set_read_only(common.read_only)

    def _require_managed(self, identifier: str) -> None:
        if self._managed_files and identifier not in self._managed_files:
            managed = ", ".join(self._managed_files)
            raise DataError(f"This provider does not manage {identifier!r}, only {managed}.")

    def _require_writable(self, identifier: str) -> None:
        self._require_managed(identifier)
        if self._read_only:
            raise ReadOnlyError(
                f"{identifier!r} cannot be written: its provider is read-only.",
                hint="To allow it, set read_only = false in the provider's configuration.",
            )
