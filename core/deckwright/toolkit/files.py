"""What data providers share that keep each piece of data in a file of its own below one folder."""

from __future__ import annotations

import codecs
import os
import shutil
import uuid
from pathlib import Path, PureWindowsPath
from typing import Annotated, ClassVar

import attrs
from msgspec import Meta

from deckwright.config.settings import did_you_mean
from deckwright.errors import DataError
from deckwright.providers.data import DataProvider, DataSettings

_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@attrs.define
class FileSettings(DataSettings):
    """The settings of every provider that keeps its data in files."""

    base_path: Annotated[Path, Meta(description="the folder that holds the files")] = Path()


class FileDataProvider(DataProvider):
    """Files below `base_path`, each known by its path from there, in POSIX style: `"sub/words.csv"`.

    No identifier leads out of the folder, be it by `..`, an absolute path, a drive letter or a symbolic link.
    A class of this contract names its `endings` and implements `_load_data_impl` and `_save_data_impl` with
    `_path`, `_read_text` and `_write`.

    Attributes:
        endings: Those of the files it reads and writes, in lower case: `(".csv", ".tsv")`.
    """

    config_class = FileSettings
    endings: ClassVar[tuple[str, ...]]

    def exists(self, identifier: str) -> bool:
        """Say whether there is such a file, and this provider manages it."""
        try:
            self._require_managed(identifier)
            return self._path(identifier).is_file()
        except (DataError, OSError):
            return False

    def list_identifiers(self) -> list[str]:
        """Return the identifiers of all files that `exists` affirms, sorted; what is hidden is left out."""
        base: Path = self.settings.base_path
        found = []
        for folder, subfolders, files in os.walk(base):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            for name in files:
                if name.lower().endswith(self.endings) and not name.startswith("."):
                    found.append(self._identifier(Path(folder, name).relative_to(base).as_posix()))
        return sorted(identifier for identifier in found if self.exists(identifier))

    def _file_name(self, identifier: str) -> str:
        """Return the path below the base folder of the file that `identifier` means."""
        return identifier

    def _identifier(self, file_name: str) -> str:
        """Return the identifier of the file at this path below the base folder."""
        return file_name

    def _path(self, identifier: str) -> Path:
        """Return the file that `identifier` means.

        Raises:
            DataError: It leads out of the base folder, or is not of the kind that this provider handles.
        """
        base: Path = self.settings.base_path
        name = self._file_name(identifier)
        plain = not PureWindowsPath(name).drive and "\\" not in name
        if not plain or any(part in ("", ".", "..") for part in name.split("/")):
            raise DataError(
                f"{identifier!r} is not the path of a file below {base}.",
                hint="Write it as from that folder on, with slashes: sub/words.csv",
            )
        if not name.lower().endswith(self.endings):
            raise DataError(f"{identifier!r} does not end in {' or '.join(self.endings)}.")
        path = base / name
        try:
            inside = path.resolve().is_relative_to(base.resolve())
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or no file name at all
            raise DataError(f"{identifier!r} cannot be the path of a file: {error}.") from error
        if not inside:
            raise DataError(f"{path} is a symbolic link that leads out of {base}.")
        return path

    def _read(self, path: Path) -> bytes:
        """Return the content of a file.

        Raises:
            DataError: It is not there, or cannot be read.
        """
        try:
            if not path.exists():
                near = did_you_mean(path.name, os.listdir(path.parent) if path.parent.is_dir() else ())
                raise DataError(f"There is no file {path}{near or '.'}")
            if not path.is_file():  # reading a pipe might never end
                raise DataError(f"{path} is {'a folder' if path.is_dir() else 'not a file'}.")
            return path.read_bytes()
        except OSError as error:
            raise self._trouble(path, "read", error) from error

    def _read_text(self, path: Path, encoding: str = "utf-8") -> str:
        r"""Return the text of a file with `\n` at the end of its lines; a byte order mark says more than `encoding`.

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
                f"{path}, line {line}: the byte 0x{content[error.start]:02X} is not {encoding.upper()}.",
                hint='Save the file as UTF-8 (in Excel: "CSV UTF-8"). The provider csv also has a setting `encoding`.',
            ) from error
        except UnicodeError as error:
            raise DataError(f"{path} is not {encoding.upper()}: {error}.") from error
        return _unix_lines(text)

    @staticmethod
    def _trouble(path: Path, done: str, error: OSError) -> DataError:
        """Say what the operating system has against a file being `done`: "read" or "written"."""
        return DataError(f"{path} cannot be {done}: {error.strerror or error}.")

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file so that at every moment either all of the old or all of the new content is there.

        Raises:
            DataError: It cannot be written; what was there before is there still.
        """
        target = path.resolve()
        temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                if target.exists():
                    shutil.copymode(target, temporary)
                os.replace(temporary, target)  # noqa: PTH105 - the word for it everywhere
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(path, "written", error) from error


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
