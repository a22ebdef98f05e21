"""The base class of data providers that store each item in a file of its own, below one folder."""

from __future__ import annotations

import codecs
import os
import shutil
from pathlib import Path, PureWindowsPath
from typing import Annotated, ClassVar

import attrs
from msgspec import Meta

from deckwright.config.settings import did_you_mean
from deckwright.errors import DataError
from deckwright.providers.data import DataProvider, DataSettings
from deckwright.toolkit.media_format import temporary_beside

_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@attrs.define
class FileSettings(DataSettings):
    """The settings of every provider that stores its data in files."""

    base_path: Annotated[Path, Meta(description="the folder that holds the files")] = Path()


class FileDataProvider(DataProvider):
    """Files below `base_path`. Their identifiers are the paths from there, in POSIX style: `"sub/words.csv"`.

    No identifier leads out of the folder, neither by `..`, an absolute path, a drive letter nor a symbolic link.
    A subclass sets its `endings`, and implements `_load_data_impl` and `_save_data_impl` with `_path`, `_read_text` and
    `_write`.

    Attributes:
        endings: The endings of the files it reads and writes, in lower case: `(".csv", ".tsv")`.
    """

    config_class = FileSettings
    endings: ClassVar[tuple[str, ...]]

    def exists(self, identifier: str) -> bool:
        """Return whether the file exists and this provider manages it."""
        try:
            self._require_managed(identifier)
            return self._path(identifier).is_file()
        except (DataError, OSError):
            return False

    def list_identifiers(self) -> list[str]:
        """Return the identifiers of all files that exist and are managed, sorted; hidden files are skipped."""
        base: Path = self.settings.base_path
        found = []
        for folder, subfolders, files in os.walk(base):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            for name in files:
                if name.lower().endswith(self.endings) and not name.startswith("."):
                    found.append(self._identifier(Path(folder, name).relative_to(base).as_posix()))
        return sorted(identifier for identifier in found if self.exists(identifier))

    def _file_name(self, identifier: str) -> str:
        """Return the path of the file of `identifier`, below the base folder."""
        return identifier

    def _identifier(self, file_name: str) -> str:
        """Return the identifier of the file with this path below the base folder."""
        return file_name

    def _path(self, identifier: str) -> Path:
        """Return the file of `identifier`.

        Raises:
            DataError: It leads out of the base folder, or does not have one of the endings.
        """
        base: Path = self.settings.base_path
        name = self._file_name(identifier)
        is_windows_path = PureWindowsPath(name).drive or "\\" in name
        if is_windows_path or any(part in ("", ".", "..") for part in name.split("/")):
            raise DataError(
                f"{identifier!r} is not the path of a file in the folder {base}.",
                hint="Write the path from that folder on, with slashes: sub/words.csv",
            )
        if not name.lower().endswith(self.endings):
            raise DataError(f"{identifier!r} does not end in {' or '.join(self.endings)}.")
        path = base / name
        try:
            inside = path.resolve().is_relative_to(base.resolve())
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or an invalid name
            raise DataError(f"{identifier!r} cannot be the path of a file: {error}.") from error
        if not inside:
            raise DataError(f"{path} is a symbolic link to a file outside the folder {base}.")
        return path

    def _read(self, path: Path) -> bytes:
        """Return the content of a file.

        Raises:
            DataError: It does not exist, or cannot be read.
        """
        try:
            if not path.exists():
                near = did_you_mean(path.name, os.listdir(path.parent) if path.parent.is_dir() else ())
                raise DataError(f"The file {path} does not exist{near or '.'}")
            if not path.is_file():  # reading a pipe may never end
                raise DataError(f"{path} is {'a folder' if path.is_dir() else 'not a file'}.")
            return path.read_bytes()
        except OSError as error:
            raise file_error(path, "read", error) from error

    def _read_text(self, path: Path, encoding: str = "utf-8") -> str:
        r"""Return the text of a file, with lines that end in `\n`. A byte order mark takes precedence over `encoding`.

        Raises:
            DataError: It cannot be read, or is in another encoding.
        """
        content = self._read(path)
        encoding = next((name for bom, name in _BOMS.items() if content.startswith(bom)), encoding)
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            line = _unix_lines(content[: error.start].decode(encoding, "replace")).count("\n") + 1
            raise DataError(
                f"{path}, line {line}: the byte 0x{content[error.start]:02X} is not valid {encoding.upper()}.",
                hint='Save the file as UTF-8 (in Excel: "CSV UTF-8"), or set `encoding` of the provider csv.',
            ) from error
        except UnicodeError as error:
            raise DataError(f"{path} is not valid {encoding.upper()}: {error}.") from error
        return _unix_lines(text)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file in one step: there is always either the old or the new content, and never a part of it.

        Raises:
            DataError: It cannot be written; the old content is still there.
        """
        target = path.resolve()
        try:
            with temporary_beside(target) as temporary:
                with temporary.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                if target.exists():
                    shutil.copymode(target, temporary)
                temporary.replace(target)
        except OSError as error:
            raise file_error(path, "written", error) from error


def file_error(path: Path, action: str, error: OSError) -> DataError:
    """Return the error for a file that cannot be "read" or "written"."""
    return DataError(f"{path} cannot be {action}: {error.strerror or error}.")


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
