"""Anki packages: `.apkg` files with notes, cards, sounds and pictures, ready to import.

Importing a later package of the same deck updates the notes that are there and adds the new ones. Anki tells
old from new by whole seconds: of two packages within the same second, it takes the second one for the first.
"""

from __future__ import annotations

import contextlib
import filecmp
import itertools
import json
import re
import shutil
import sqlite3
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload
from uuid import uuid4

import attrs
from filelock import FileLock, Timeout

from deckwright.errors import MissingDependencyError, ProviderError
from deckwright.providers.deck import Deck, stable_id
from deckwright.toolkit.install_hints import OFFLINE_EXTRA

_WORKSHOP = ".deckwright-package-"
# Characters that Anki drops from the names of media.
_LOST = re.compile(r'[?<>:"|*\[\]^\\\x00-\x1f]')


class Files(Sequence[Path]):
    """The paths of files, each made when it is looked at: of a hundred thousand they would fill the memory."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files = tuple(files)

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | Sequence[Path]:
        if isinstance(index, slice):
            return Files(self._files[index])
        return Path(self._files[index])


@attrs.frozen
class WrittenPackage:
    """A package that was written.

    Attributes:
        path: Where it is.
        notes: How many notes it has.
        cards: How many cards.
        bytes: Its size.
    """

    path: Path
    notes: int
    cards: int
    bytes: int


def write_package(path: Path, decks: Sequence[Deck], media: Iterable[Path]) -> WrittenPackage:
    """Write decks and media files as one package, beside `path` first and there once it is complete.

    Args:
        path: The file; one that is there is replaced.
        decks: The decks.
        media: The files that their notes refer to by their bare names.

    Raises:
        ProviderError: It cannot be written; a file that was there stays.
        MissingDependencyError: genanki is not installed.
    """
    package = require_genanki().Package([_genanki_deck(deck) for deck in decks])
    try:
        files = _distinct(media if isinstance(media, Sequence) else tuple(media))
        if path.is_dir():
            raise ProviderError(f"{path} is a folder; the package needs the name of a file.")
        if not path.parent.is_dir():
            raise ProviderError(f"{path} cannot be written: there is no folder {path.parent}.")
        with _workshop(path.parent) as folder:
            collection, finished = folder / "collection.anki2", folder / "finished.apkg"
            cards = _write_collection(collection, package)
            _zip(finished, collection, files)
            size = finished.stat().st_size
            finished.replace(path)
    except OSError as error:
        culprit = f" ({error.filename})" if error.filename and Path(error.filename).is_file() else ""
        raise ProviderError(f"{path} cannot be written: {error.strerror or error}{culprit}.") from error
    except sqlite3.OperationalError as error:
        raise ProviderError(f"{path} cannot be written: {error}.") from error
    notes = sum(len(deck.notes) for deck in decks)
    return WrittenPackage(path, notes, cards, size)


@contextlib.contextmanager
def _workshop(parent: Path) -> Iterator[Path]:
    """Make a folder for unfinished files, which is gone afterwards, with those that killed processes have left."""
    for lock in parent.glob(f"{_WORKSHOP}*.lock"):
        with contextlib.suppress(Timeout, OSError):
            # Held by its process for as long as that lives.
            with FileLock(lock, blocking=False):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
    folder = parent / f"{_WORKSHOP}{uuid4().hex}"
    lock = folder.with_suffix(".lock")
    try:
        with FileLock(lock):
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            lock.unlink()


def _write_collection(file: Path, package: Any) -> int:
    """Write the notes and cards as the database that Anki reads; return the number of cards."""
    # genanki's own write_to_file leaves a temporary file behind at every call.
    with contextlib.closing(sqlite3.connect(file)) as database:
        # If the machine stops now, the file is useless in any case.
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA journal_mode = OFF")
        now = time.time()
        package.write_to_db(database.cursor(), now, itertools.count(int(now * 1000)))
        database.commit()
        return int(database.execute("SELECT count(*) FROM cards").fetchone()[0])


def _zip(target: Path, collection: Path, files: Files) -> None:
    with zipfile.ZipFile(target, "w") as package:
        package.write(collection, "collection.anki2", zipfile.ZIP_DEFLATED)
        names = zipfile.ZipInfo("media")
        names.compress_type = zipfile.ZIP_DEFLATED
        with package.open(names, "w") as entry:
            # In parts: as one text it would be in memory twice.
            for number, file in enumerate(files):
                entry.write(f'{", " if number else "{"}"{number}": {json.dumps(file.name)}'.encode())
            entry.write(b"}" if len(files) else b"{}")
        for number, file in enumerate(files):
            # Sound and pictures are compressed already. When they were made matters to nobody.
            with file.open("rb") as content, package.open(zipfile.ZipInfo(str(number)), "w") as entry:
                shutil.copyfileobj(content, entry)


def _distinct(files: Sequence[Path]) -> Files:
    """Return the files without those that are there twice, having made sure that Anki will keep them apart."""
    # Not every system tells upper from lower case, and the deck is to work on all of them.
    places: dict[str, int] = {}
    for place, file in enumerate(files):
        if not file.is_file():
            raise ProviderError(f"The media file {file} does not exist.")
        name, lower = file.name, file.name.lower()
        if lost := _LOST.search(name):
            raise ProviderError(
                f"Anki cannot keep the media file {name!r} under this name: it drops {lost[0]!r}."
            )
        first = places.setdefault(name if name == lower else lower, place)
        if first != place:
            other = files[first]
            if other != file and not (other.name == name and filecmp.cmp(other, file, shallow=False)):
                raise ProviderError(f"Two different media files have one name: {other} and {file}.")
    return Files(str(files[place]) for place in places.values())


def _genanki_deck(deck: Deck) -> Any:
    genanki = require_genanki()
    note_type = deck.note_type
    model = genanki.Model(
        note_type.id,
        note_type.name,
        fields=[{"name": name} for name in note_type.fields],
        templates=[
            {"name": card.name, "qfmt": card.front, "afmt": card.back} for card in note_type.templates
        ],
        css=note_type.css,
    )
    made = genanki.Deck(stable_id(deck.name), deck.name, deck.description)
    made.notes = _GenankiNotes(deck, model)
    return made


class _GenankiNotes:
    """The notes of a deck as genanki's, each made when it is its turn: all at once would fill the memory."""

    def __init__(self, deck: Deck, model: Any) -> None:
        self._deck = deck
        self._model = model

    def __iter__(self) -> Iterator[Any]:
        genanki, note_type = require_genanki(), self._deck.note_type
        for note in self._deck.notes:
            unknown = [name for name in note.fields if name not in note_type.fields]
            if unknown:
                raise ProviderError(f"The note type {note_type.name!r} has no field {unknown[0]!r}.")
            # Stripped: to Anki a field of spaces is empty, to genanki it is not. 0x1f is what separates fields.
            fields = [note.fields.get(name, "").replace("\x1f", " ").strip() for name in note_type.fields]
            tags = ["_".join(tag.split()) for tag in note.tags if tag.strip()]
            yield genanki.Note(self._model, fields, guid=note.guid, tags=tags)


def require_genanki() -> Any:
    """Return genanki, with which packages are made.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import genanki
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"Anki packages need the package genanki ({error}).", hint=f'pip install "{OFFLINE_EXTRA}"'
        ) from error
    return genanki
