"""The contract of providers of data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deckwright.errors import CATCHABLE, DeckwrightError, ReadOnlyError
from deckwright.testing.contracts.assertions import UNKNOWN, fail, must_not_raise, require
from deckwright.testing.contracts.provider import ProviderContract
from deckwright.testing.contracts.resource_audit import OpenedResource, record_opened
from deckwright.tracebacks import format_error

_WORDS = [
    {"word": "la manzana", "translation": "apple"},
    {"word": "りんご", "translation": "Äpfel, „rote“"},
    {"word": "мир", "translation": '"peace"; world'},
]


class DataProviderContract(ProviderContract):
    """What every data provider must do. For one that never writes, only reading is tested.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        name: The provider's name in a configuration.
        identifier: A valid identifier of a word list, as `list_identifiers` returns it; files may need an extension.
        wrong_settings: For each setting, a value that must be refused.
    """

    identifier: ClassVar[str] = "words"
    type = "data"

    def test_saved_data_can_be_loaded(self, timed_provider: Any) -> None:
        """A word list can be loaded as it was saved, in every script."""
        self._save(timed_provider)
        with must_not_raise("load_data"):
            rows = timed_provider.load_data(self.identifier)
        require(
            isinstance(rows, list) and len(rows) == len(_WORDS),
            f"{self._label} saved {len(_WORDS)} words, but loaded {rows!r}. "
            "A word list is a list of dicts, each with 'word'.",
        )
        for saved, row in zip(_WORDS, rows, strict=True):
            require(
                {key: row.get(key) for key in saved} == saved,
                f"{self._label} saved {saved}, but loaded {row}.",
            )

    def test_saved_data_is_listed(self, timed_provider: Any) -> None:
        """`exists` and `list_identifiers` report what was saved; the list is sorted."""
        self._save(timed_provider)
        self._save(timed_provider, self._other)
        with must_not_raise("list_identifiers"):
            listed = timed_provider.list_identifiers()
        for identifier in (self.identifier, self._other):
            require(
                identifier in listed and timed_provider.exists(identifier),
                f"{identifier!r} was saved, but list_identifiers returns {listed}, and exists "
                f"{timed_provider.exists(identifier)}. "
                "If the provider uses another name for it, set `identifier` to that.",
            )
        require(listed == sorted(listed), f"list_identifiers is not sorted: {listed}.")

    def test_listed_data_can_be_loaded(self, timed_provider: Any) -> None:
        """Everything that `list_identifiers` returns exists and can be loaded."""
        with suppress(*CATCHABLE):  # another test checks saving
            timed_provider.save_data(self.identifier, _rows())
        with must_not_raise("list_identifiers"):
            listed = timed_provider.list_identifiers()
        for identifier in listed[:3]:
            with must_not_raise(f"load_data({identifier!r}), which list_identifiers returned,"):
                timed_provider.load_data(identifier)
            require(
                timed_provider.exists(identifier),
                f"list_identifiers returns {identifier!r}, but exists returns False.",
            )

    def test_unknown_data_is_a_data_error(self, timed_provider: Any) -> None:
        """Loading unknown data raises a DataError, and `exists` returns False."""
        unknown = self._sibling(UNKNOWN)
        self._require_refused_to_load(timed_provider, unknown)
        with must_not_raise("exists"):
            require(not timed_provider.exists(unknown), f"exists({unknown!r}) returns True for unknown data.")

    def test_read_only_refuses_to_save(self, timed_provider: Any) -> None:
        """A read-only provider writes nothing: saving raises a ReadOnlyError."""
        timed_provider.set_read_only(True)
        require(timed_provider.is_read_only, f"{self._label} is not read-only after set_read_only(True).")
        try:
            timed_provider.save_data(self.identifier, _rows())
        except ReadOnlyError:
            return
        except CATCHABLE as error:
            outcome = f"raised {format_error(error)}"
        else:
            outcome = "accepted it"
        fail(
            f"{self._label} is read-only, but save_data {outcome}. It must raise ReadOnlyError. If you override "
            "save_data, override _save_data_impl instead."
        )

    def test_only_managed_files_are_used(self, timed_provider: Any) -> None:
        """If managed files are set, other files are neither loaded nor saved."""
        timed_provider.set_managed_files([self.identifier])
        self._require_refused_to_load(timed_provider, self._other)
        self._require_refused_to_save(timed_provider, self._other)

    def test_identifier_cannot_leave_the_folder(self, provider: Any, timed_provider: Any) -> None:
        """Loading an identifier with `..` raises a DataError, and no file outside the folder is opened."""
        outside_identifier = f"../{self.identifier}"
        folders = self._opened_by(lambda: provider.save_data(self.identifier, _rows()))
        opened = self._opened_by(lambda: provider.load_data(outside_identifier))
        self._require_refused_to_load(timed_provider, outside_identifier)
        # A database may accept it as an ordinary name.
        opened |= self._opened_by(lambda: provider.save_data(outside_identifier, _rows()))
        outside = sorted(map(str, opened - folders))
        require(
            not folders or not outside,
            f"The identifier {outside_identifier!r} makes {self._label} open files in {', '.join(outside)}. Refuse it, "
            "as deckwright.toolkit.files.FileDataProvider does.",
        )

    def uses(self, provider: Any, folder: Path) -> Iterator[object]:
        """Use a provider in every possible way; yield what each use returned or raised."""
        for use in (
            lambda: provider.save_data(self.identifier, _rows()),
            lambda: provider.load_data(self.identifier),
            lambda: provider.load_data(self._sibling(UNKNOWN)),
            provider.list_identifiers,
            provider.check_connection,
        ):
            try:
                yield use()
            except DeckwrightError as error:
                yield error

    def _opened_by(self, call: Callable[[], object]) -> set[Path]:
        """Return the folders in which a call opens files."""

        def audited() -> list[OpenedResource]:
            with record_opened() as opened, suppress(*CATCHABLE):
                call()
            return opened

        opened = self._call(f"loading and saving of {self._label}", audited)
        return {resource.path.resolve().parent for resource in opened if resource.path is not None}

    @property
    def _other(self) -> str:
        return self._sibling("another")

    def _sibling(self, prefix: str) -> str:
        folder, slash, name = self.identifier.rpartition("/")
        return f"{folder}{slash}{prefix}-{name}"

    def _save(self, provider: Any, identifier: str | None = None) -> None:
        if provider.is_read_only:
            pytest.skip("it is read-only")
        with must_not_raise(
            "save_data", "If only some identifiers are valid, such as files of one format, set `identifier`."
        ):
            saved = provider.save_data(identifier or self.identifier, _rows())
        if not saved:
            pytest.skip("it saves nothing")

    def _require_refused_to_load(self, provider: Any, identifier: str) -> None:
        try:
            provider.load_data(identifier)
        except CATCHABLE as error:
            require(
                isinstance(error, DeckwrightError) and isinstance(error, ValueError),
                f"load_data({identifier!r}) raised {format_error(error)}. It must raise a DataError.",
            )
        else:
            fail(f"load_data({identifier!r}) returned something. It must raise a DataError.")

    def _require_refused_to_save(self, provider: Any, identifier: str) -> None:
        try:
            saved = provider.save_data(identifier, _rows())
        except DeckwrightError:
            return
        except CATCHABLE as error:
            fail(f"save_data({identifier!r}) raised {format_error(error)}. It must raise a DataError.")
        require(not saved, f"save_data({identifier!r}) saved it, but it is not a managed file.")


def _rows() -> list[dict[str, str]]:
    return [dict(row) for row in _WORDS]
