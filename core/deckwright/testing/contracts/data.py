"""The contract of providers of data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deckwright.errors import CATCHABLE, DeckwrightError, ReadOnlyError
from deckwright.testing.contracts.checking import UNKNOWN, answering, fail, require
from deckwright.testing.contracts.provider import ProviderContract
from deckwright.testing.contracts.watching import Opened, opened
from deckwright.tracebacks import format_error

_WORDS = [
    {"word": "la manzana", "translation": "apple"},
    {"word": "りんご", "translation": "Äpfel, „rote“"},
    {"word": "мир", "translation": '"peace"; world'},
]


class DataProviderContract(ProviderContract):
    """What every source of data keeps to. One that never writes has only its reading looked at.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        name: The name that a configuration calls it by.
        identifier: What a word list may be kept under, as `list_identifiers` gives it; files may need an ending.
        wrong_settings: By setting, a value that is to be refused.
    """

    identifier: ClassVar[str] = "words"
    type = "data"

    def test_what_is_kept_comes_back(self, limited: Any) -> None:
        """A word list is loaded as it was saved, in every script."""
        self._keep(limited)
        with answering("load_data"):
            rows = limited.load_data(self.identifier)
        require(
            isinstance(rows, list) and len(rows) == len(_WORDS),
            f"{self._label} kept {len(_WORDS)} words, and gave back {rows!r}: "
            "a word list is a list of dicts, each with 'word'.",
        )
        for kept, row in zip(_WORDS, rows, strict=True):
            require(
                {key: row.get(key) for key in kept} == kept,
                f"{self._label} kept {kept}, and gave back {row}.",
            )

    def test_what_is_kept_is_listed(self, limited: Any) -> None:
        """`exists` and `list_identifiers` know what was saved; the list is sorted."""
        self._keep(limited)
        self._keep(limited, self._other)
        with answering("list_identifiers"):
            listed = limited.list_identifiers()
        for identifier in (self.identifier, self._other):
            require(
                identifier in listed and limited.exists(identifier),
                f"{identifier!r} was kept, and list_identifiers returns {listed}, and exists "
                f"{limited.exists(identifier)}. "
                "If the provider calls it by another name, set `identifier` to that.",
            )
        require(listed == sorted(listed), f"list_identifiers is not sorted: {listed}.")

    def test_what_is_listed_can_be_loaded(self, limited: Any) -> None:
        """Whatever `list_identifiers` returns exists and can be loaded."""
        with suppress(*CATCHABLE):  # that it can save is another test's
            limited.save_data(self.identifier, _rows())
        with answering("list_identifiers"):
            listed = limited.list_identifiers()
        for identifier in listed[:3]:
            with answering(f"load_data({identifier!r}), though list_identifiers names it,"):
                limited.load_data(identifier)
            require(limited.exists(identifier), f"list_identifiers names {identifier!r}, and exists says no.")

    def test_what_is_unknown_is_an_error_in_words(self, limited: Any) -> None:
        """To load what is not there is a DataError, and `exists` says no."""
        unknown = self._beside(UNKNOWN)
        self._require_refused_to_load(limited, unknown)
        with answering("exists"):
            require(not limited.exists(unknown), f"exists({unknown!r}) is true of something that nobody has.")

    def test_read_only_is_kept_to(self, limited: Any) -> None:
        """Once it is read-only, nothing is written: to save is a ReadOnlyError."""
        limited.set_read_only(True)
        require(limited.is_read_only, f"{self._label} is not read-only after set_read_only(True).")
        try:
            limited.save_data(self.identifier, _rows())
        except ReadOnlyError:
            return
        except CATCHABLE as error:
            said = f"raised {format_error(error)}"
        else:
            said = "took it"
        fail(
            f"{self._label} is read-only, and save_data {said}: it should raise ReadOnlyError. If you override "
            "save_data, write _save_data_impl instead."
        )

    def test_only_what_is_managed_is_touched(self, limited: Any) -> None:
        """With managed files set, any other is neither loaded nor saved."""
        limited.set_managed_files([self.identifier])
        self._require_refused_to_load(limited, self._other)
        self._require_refused_to_save(limited, self._other)

    def test_no_identifier_climbs_out(self, provider: Any, limited: Any) -> None:
        """An identifier with `..` in it leads nowhere: to load it is a DataError, and no file outside is touched."""
        climbing = f"../{self.identifier}"
        folders = self._opened_by(lambda: provider.save_data(self.identifier, _rows()))
        touched = self._opened_by(lambda: provider.load_data(climbing))
        self._require_refused_to_load(limited, climbing)
        # A data base may well take it for a name like any other.
        touched |= self._opened_by(lambda: provider.save_data(climbing, _rows()))
        outside = sorted(map(str, touched - folders))
        require(
            not folders or not outside,
            f"The identifier {climbing!r} leads {self._label} to {', '.join(outside)}: refuse it, as "
            "deckwright.toolkit.files.FileDataProvider does.",
        )

    def uses(self, provider: Any, folder: Path) -> Iterator[object]:
        """Use a provider in every way there is; yield what each use returned or raised."""
        for use in (
            lambda: provider.save_data(self.identifier, _rows()),
            lambda: provider.load_data(self.identifier),
            lambda: provider.load_data(self._beside(UNKNOWN)),
            provider.list_identifiers,
            provider.check_connection,
        ):
            try:
                yield use()
            except DeckwrightError as error:
                yield error

    def _opened_by(self, call: Callable[[], object]) -> set[Path]:
        def watched() -> list[Opened]:
            with opened() as found, suppress(*CATCHABLE):
                call()
            return found

        found = self._ask(f"loading and saving of {self._label}", watched)
        return {each.path.resolve().parent for each in found if each.path is not None}

    @property
    def _other(self) -> str:
        return self._beside("another")

    def _beside(self, prefix: str) -> str:
        folder, slash, name = self.identifier.rpartition("/")
        return f"{folder}{slash}{prefix}-{name}"

    def _keep(self, provider: Any, identifier: str | None = None) -> None:
        if provider.is_read_only:
            pytest.skip("it is read-only")
        with answering(
            "save_data", "If only some identifiers will do, such as files of one ending, set `identifier`."
        ):
            kept = provider.save_data(identifier or self.identifier, _rows())
        if not kept:
            pytest.skip("it keeps nothing")

    def _require_refused_to_load(self, provider: Any, identifier: str) -> None:
        try:
            provider.load_data(identifier)
        except CATCHABLE as error:
            require(
                isinstance(error, DeckwrightError) and isinstance(error, ValueError),
                f"load_data({identifier!r}) raised {format_error(error)}: it should be a DataError.",
            )
        else:
            fail(f"load_data({identifier!r}) gave something: it should raise a DataError.")

    def _require_refused_to_save(self, provider: Any, identifier: str) -> None:
        try:
            kept = provider.save_data(identifier, _rows())
        except DeckwrightError:
            return
        except CATCHABLE as error:
            fail(f"save_data({identifier!r}) raised {format_error(error)}: it should be a DataError.")
        require(not kept, f"save_data({identifier!r}) kept it, though it is not among the managed files.")


def _rows() -> list[dict[str, str]]:
    return [dict(row) for row in _WORDS]
