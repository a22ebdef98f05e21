"""JSON files: word lists, and any other data."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from deckwright import DataError, DataProvider, ProviderInfo, Traits, hookimpl
from deckwright.toolkit.files import FileDataProvider, FileSettings, file_error

_BACKUP = re.compile(r"\.\d{8}-\d{6}(-\d+)?\.bak$")


class JsonData(FileDataProvider):
    """JSON files. Their identifiers may omit the ending: `"nouns"` and `"nouns.json"` are `nouns.json`.

    Files are strict JSON in UTF-8: without NaN, and without a key twice in one object, since one of the two would be
    lost.
    """

    endings = (".json",)

    def _load_data_impl(self, identifier: str) -> Any:
        path = self._path(identifier)
        return _parse(self._read_text(path), path)

    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        path = self._path(identifier)
        try:
            text = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
            content = text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(f"{path} cannot be written, because the data is not JSON: {error}.") from error
        # In JSON, keys such as 1 and "1" are the same. A file that cannot be read must not replace one that can.
        _parse(text, path)
        self._write(path, content)
        return True

    def backup_data(self, identifier: str) -> str | None:
        """Copy the data of `identifier` to a new name that contains the time in UTC.

        Returns:
            The copy's identifier, `"nouns.20261123-101500.bak"`, which `load_data` accepts and `list_identifiers`
            skips; None if there is nothing to copy.

        Raises:
            ReadOnlyError: The provider is read-only.
            DataError: The copy cannot be written, or this provider does not manage `identifier`.
        """
        self._require_writable(identifier)
        if not self.exists(identifier):
            return None
        content = self._read(self._path(identifier))
        stamp = f"{_stem(identifier)}.{datetime.now(timezone.utc):%Y%m%d-%H%M%S}"
        copy, number = f"{stamp}.bak", 1
        while not self._reserve(copy):
            number += 1
            copy = f"{stamp}-{number}.bak"
        try:
            self._write(self._path(copy), content)
        except DataError:
            self._path(copy).unlink(missing_ok=True)  # an empty backup is worse than no backup
            raise
        return copy

    def _reserve(self, identifier: str) -> bool:
        """Make an empty file; return False if there is one already."""
        path = self._path(identifier)
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            return False
        except OSError as error:
            raise file_error(path, "written", error) from error
        return True

    def list_identifiers(self) -> list[str]:
        """Return the identifiers of all files except backups, sorted."""
        return [identifier for identifier in super().list_identifiers() if not _BACKUP.search(identifier)]

    def _require_managed(self, identifier: str) -> None:
        original = _BACKUP.sub("", _stem(identifier))
        if original not in map(_stem, self.managed_files):
            super()._require_managed(identifier)

    def _file_name(self, identifier: str) -> str:
        return identifier if identifier.endswith(".json") else f"{identifier}.json"

    def _identifier(self, file_name: str) -> str:
        return _stem(file_name)


def _stem(identifier: str) -> str:
    stem = identifier.removesuffix(".json")
    # "a.json.json" keeps its ending, since "a.json" is another file.
    return identifier if stem.endswith(".json") else stem


def _parse(text: str, path: Path) -> Any:
    def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(f"{path}: one object has the key {twice!r} twice.")
        return result

    def no_constant(name: str) -> None:
        raise DataError(f"{path}: {name} is not a JSON value.")

    if not text.strip():
        raise DataError(f"{path} is empty.")
    try:
        return json.loads(text, object_pairs_hook=unique_keys, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}.") from error
    except RecursionError as error:
        raise DataError(f"{path} is nested too deeply.") from error
    except DataError:
        raise
    except ValueError as error:  # a number with thousands of digits
        raise DataError(f"{path}: {error}.") from error


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `json`."""
    summary = "Word lists and other data in JSON files"
    traits = Traits(reads=JsonData.endings)
    return [ProviderInfo("data", "json", summary, FileSettings, traits=traits)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> DataProvider | None:
    """Make `json`."""
    return JsonData(config) if (type, name) == ("data", "json") else None
