"""Media files on their way into Anki, which may keep them under other names than they came by."""

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
from deckwright_builtins.anki.notes import composed


class MediaStore:
    """Anki's media, as far as one deck needs them.

    Args:
        anki: The Anki that keeps them.

    Attributes:
        stored: How many files were stored.
    """

    def __init__(self, anki: AnkiConnect) -> None:
        self._anki = anki
        # The name in Anki of each media file that it keeps under another one.
        self._renamed: dict[str, str] = {}
        self.stored = 0

    def store(self, files: Iterable[Path]) -> None:
        """Store media files, but for those that are there; remember the names that they get.

        Raises:
            ProviderError: Anki does not store one.
        """
        files = list(files)
        if not files:
            return
        there = set(self._anki.call("getMediaFilesNames", pattern="*"))
        found = {file: kept for file in files if (kept := self._kept_as(file, there))}
        self._note_names(found)
        left = [file for file in files if file not in found]
        said = "it gives no name"
        # By its path is fastest, where Anki can see the file.
        for as_call in (_by_path, _as_data) if self.folder else (_as_data,):
            answers = self._anki.calls(as_call(file) for file in left)
            names = {
                file: answer for file, answer in zip(left, answers, strict=True) if isinstance(answer, str)
            }
            self.stored += len(names)
            self._note_names(names)
            said = next((answer.said for answer in answers if isinstance(answer, AnkiError)), said)
            left = [file for file in left if file not in names]
        if left:
            raise ProviderError(f"Anki does not store the media file {left[0].name!r} ({said}).")

    def _note_names(self, names: Mapping[Path, str]) -> None:
        """Remember the names that Anki has for media files, where they are other ones."""
        self._renamed |= {
            composed(file.name): kept for file, kept in names.items() if kept != composed(file.name)
        }

    @cached_property
    def folder(self) -> Path | None:
        """Where Anki keeps its media; None when it is on another machine."""
        folder = Path(self._anki.call("getMediaDirPath"))
        return folder if folder.is_dir() else None

    def _kept_as(self, file: Path, there: Container[str]) -> str | None:
        """Return the name by which Anki has a file already; None when it has not, or that cannot be told."""
        if is_named_by_content(file):
            return file.name if file.name in there else None
        if not self.folder:
            return None
        content = file.read_bytes()
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        for name in (composed(file.name), composed(file.name).lower()):
            for kept in (name, f"{Path(name).stem}-{digest}{Path(name).suffix}"):
                if kept in there and Path(self.folder, kept).read_bytes() == content:
                    return kept
        return None

    def fields(self, note: Note) -> dict[str, str]:
        """Return a note's fields, with its media by the names that Anki gave them."""
        if not self._renamed:
            return note.fields
        forms = (str, html.escape)
        names = {form(name): form(kept) for name, kept in self._renamed.items() for form in forms}
        either = "|".join(map(re.escape, names))
        # As they stand in [sound:...] and in the attributes of HTML.
        found = re.compile(rf"""(?<=[:="'])(?:{either})(?=[]"'\s>])""")
        return {field: found.sub(lambda name: names[name[0]], value) for field, value in note.fields.items()}


def _by_path(file: Path) -> Call:
    return "storeMediaFile", {"filename": file.name, "path": str(file.absolute()), "deleteExisting": False}


def _as_data(file: Path) -> Call:
    data = base64.b64encode(file.read_bytes()).decode()
    return "storeMediaFile", {"filename": file.name, "data": data, "deleteExisting": False}


def media_of(notes: Iterable[Note], media: Iterable[Path]) -> list[Path]:
    """Return those files that notes refer to, and those that Anki keeps for templates: of these, `_` comes first."""
    text = "\n".join(value for note in notes for value in note.fields.values())
    text += html.unescape(text)
    return [file for file in media if file.name.startswith("_") or composed(file.name) in text]


def is_named_by_content(file: Path) -> bool:
    """Say whether the name holds the file's own hash, as those of a build do.

    Then a file of this name is this file, and Anki has no reason to give it another.
    """
    digest = re.fullmatch(r"(?:[a-z0-9_-]*[-_])?([0-9a-f]{20,64})\.[a-z0-9]+", file.name)
    return digest is not None and hashlib.sha256(file.read_bytes()).hexdigest().startswith(digest[1])
