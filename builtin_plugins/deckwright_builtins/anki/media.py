"""Stores media files in Anki, which may give them other names."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Container, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from deckwright import Note, ProviderError
from deckwright_builtins.anki.connection import AnkiConnect, AnkiError, Call
from deckwright_builtins.anki.notes import normalize


class MediaStore:
    """Anki's media, for one deck; `stored` counts the files that were stored."""

    def __init__(self, anki: AnkiConnect) -> None:
        self._anki = anki
        # Names in Anki that differ from ours.
        self._renamed: dict[str, str] = {}
        self.stored = 0

    def store(self, files: Iterable[Path]) -> None:
        """Store media files that Anki does not have, and remember their names."""
        files = list(files)
        if not files:
            return
        names = set(self._anki.call("getMediaFilesNames", pattern="*"))
        found = {file: name for file in files if (name := self._stored_name(file, names))}
        self._remember_names(found)
        missing = [file for file in files if file not in found]
        reason = "it does not report the name"
        # By its path is the fastest way, if Anki can see the file.
        for as_call in (_by_path, _as_data) if self.folder else (_as_data,):
            results = self._anki.calls(as_call(file) for file in missing)
            stored = {
                file: result for file, result in zip(missing, results, strict=True) if isinstance(result, str)
            }
            self.stored += len(stored)
            self._remember_names(stored)
            reason = next((result.reason for result in results if isinstance(result, AnkiError)), reason)
            missing = [file for file in missing if file not in stored]
        if missing:
            raise ProviderError(f"Anki does not store the media file {missing[0].name!r} ({reason}).")

    def _remember_names(self, names: Mapping[Path, str]) -> None:
        self._renamed |= {
            normalize(file.name): name for file, name in names.items() if name != normalize(file.name)
        }

    @cached_property
    def folder(self) -> Path | None:
        """Anki's media folder; None if it is on another machine."""
        folder = Path(self._anki.call("getMediaDirPath"))
        return folder if folder.is_dir() else None

    def _stored_name(self, file: Path, names: Container[str]) -> str | None:
        """Return the name of a file that Anki already has; None if it does not, or nobody knows."""
        if is_named_by_content(file):
            return file.name if file.name in names else None
        if not self.folder:
            return None
        content = file.read_bytes()
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        for name in (normalize(file.name), normalize(file.name).lower()):
            for stored in (name, f"{Path(name).stem}-{digest}{Path(name).suffix}"):
                if stored in names and Path(self.folder, stored).read_bytes() == content:
                    return stored
        return None

    def fields(self, note: Note) -> dict[str, str]:
        """Return a note's fields, with the names that Anki gave its media."""
        if not self._renamed:
            return note.fields
        forms = (str, html.escape)
        names = {form(name): form(stored) for name, stored in self._renamed.items() for form in forms}
        either = "|".join(map(re.escape, names))
        # In [sound:...] and in attributes of HTML.
        found = re.compile(rf"""(?<=[:="'])(?:{either})(?=[]"'\s>])""")
        return {field: found.sub(lambda name: names[name[0]], value) for field, value in note.fields.items()}


def _by_path(file: Path) -> Call:
    return "storeMediaFile", {"filename": file.name, "path": str(file.absolute()), "deleteExisting": False}


def _as_data(file: Path) -> Call:
    data = base64.b64encode(file.read_bytes()).decode()
    return "storeMediaFile", {"filename": file.name, "data": data, "deleteExisting": False}


def media_of(notes: Iterable[Note], media: Iterable[Path]) -> list[Path]:
    """Return the files that notes refer to, and those for templates, whose names start with `_`."""
    text = "\n".join(value for note in notes for value in note.fields.values())
    text += html.unescape(text)
    return [file for file in media if file.name.startswith("_") or normalize(file.name) in text]


def is_named_by_content(file: Path) -> bool:
    """Return whether a file's name contains its own hash, as in a build.

    Then a file with this name is the same file, and Anki does not rename it.
    """
    digest = re.fullmatch(r"(?:[a-z0-9_-]*[-_])?([0-9a-f]{20,64})\.[a-z0-9]+", file.name)
    return digest is not None and hashlib.sha256(file.read_bytes()).hexdigest().startswith(digest[1])
