"""Anki packages: `.apkg` files, which hold notes, cards, sounds and pictures.

When a newer package of the same deck is imported, Anki updates the notes that it has and adds the new ones. It
compares times in whole seconds, so it ignores the changes in a package that was written in the same second.

What is read may come from anywhere. So no name in a package is used as a path on this computer: the collection is
copied to a temporary file, and media are only read from the archive.
"""

from __future__ import annotations

import filecmp
import itertools
import json
import re
import shutil
import sqlite3
import tempfile
import time
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, overload
from uuid import uuid4

import attrs

from deckwright.errors import DataError, MissingDependencyError, ProviderError
from deckwright.providers.deck import CardTemplate, Deck, Note, NoteType, stable_id
from deckwright.toolkit.install_hints import OFFLINE_EXTRA
from deckwright.tracebacks import format_error

# Packages that unpack to more bytes are not read: no browser opens a preview of that size.
MAX_UNPACKED = 1 << 30

_TEMPORARY = ".deckwright-package-"
# Characters that Anki removes from the names of media files.
_REMOVED = re.compile(r'[?<>:"|*\[\]^\\\x00-\x1f]')
# What separates the fields of a note in Anki's database.
_SEPARATOR = "\x1f"
_CHUNK = 3 << 16  # a multiple of three bytes, so that base64 can encode each chunk separately
_NOTES = """
    SELECT n.id, n.guid, n.mid, n.tags, n.flds, n.mod, c.id, c.ord, CASE WHEN c.odid THEN c.odid ELSE c.did END
    FROM notes n LEFT JOIN cards c ON c.nid = n.id ORDER BY n.id, c.ord
"""
_DECK_IDS = "SELECT DISTINCT CASE WHEN odid THEN odid ELSE did END FROM cards ORDER BY 1"


class LazyPaths(Sequence[Path]):
    """The paths of files. Each `Path` is made on access, since a hundred thousand of them need much memory."""

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
            return LazyPaths(self._files[index])
        return Path(self._files[index])


def write_package(path: Path, decks: Sequence[Deck], media: Iterable[Path]) -> int:
    """Write decks and media files to a package; return the number of cards.

    The file appears only when it is complete.

    Args:
        path: The file; an existing one is replaced.
        decks: The decks.
        media: The files that the notes refer to by name.

    Raises:
        ProviderError: It cannot be written; an existing file is not changed.
        MissingDependencyError: genanki is not installed.
    """
    require_genanki()
    try:
        files = _distinct_files(media if isinstance(media, Sequence) else tuple(media))
        if path.is_dir():
            raise ProviderError(f"{path} is a folder; the package needs the name of a file.")
        if not path.parent.is_dir():
            raise ProviderError(f"{path} cannot be written: there is no folder {path.parent}.")
        with _temporary_folder(path.parent) as folder:
            collection, finished = folder / "collection.anki2", folder / "finished.apkg"
            cards = _write_collection(collection, decks)
            _write_archive(finished, collection, files)
            finished.replace(path)
            return cards
    except OSError as error:
        culprit = f" ({error.filename})" if error.filename and Path(error.filename).is_file() else ""
        raise ProviderError(f"{path} cannot be written: {error.strerror or error}{culprit}.") from error
    except sqlite3.OperationalError as error:
        raise ProviderError(f"{path} cannot be written: {error}.") from error


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for unfinished files, and remove it afterwards. Also remove those of killed processes."""
    from filelock import FileLock, Timeout  # slow to import, and not needed before a package is written

    for lock in parent.glob(f"{_TEMPORARY}*.lock"):
        with suppress(Timeout, OSError):
            # The process that made the folder holds its lock as long as it runs.
            with FileLock(lock, blocking=False):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
    folder = parent / f"{_TEMPORARY}{uuid4().hex}"
    lock = folder.with_suffix(".lock")
    try:
        with FileLock(lock):
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            lock.unlink()


def _write_collection(file: Path, decks: Sequence[Deck]) -> int:
    """Write decks as the database that Anki reads; return the number of cards."""
    genanki = require_genanki()
    now = time.time()
    ids = itertools.count(int(now * 1000))
    # genanki's own write_to_file leaves a temporary file behind, and needs all notes in memory.
    with closing(sqlite3.connect(file)) as database:
        # If the machine stops now, the file is useless in any case.
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA journal_mode = OFF")
        cursor = database.cursor()
        genanki.Package([]).write_to_db(cursor, now, ids)  # the tables
        for deck in decks:
            model = _genanki_model(deck.note_type)
            genanki_deck = genanki.Deck(stable_id(deck.name), deck.name, deck.description)
            genanki_deck.add_model(model)
            genanki_deck.write_to_db(cursor, now, ids)
            for note in deck.notes:
                genanki_note = _genanki_note(note, deck.note_type, model)
                genanki_note.write_to_db(cursor, now, genanki_deck.deck_id, ids)
        database.commit()
        return int(database.execute("SELECT count(*) FROM cards").fetchone()[0])


def _write_archive(target: Path, collection: Path, files: Sequence[Path]) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(collection, "collection.anki2", zipfile.ZIP_DEFLATED)
        names = zipfile.ZipInfo("media")
        names.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(names, "w") as entry:
            # Written in parts, so that it is not in memory twice.
            for number, file in enumerate(files):
                entry.write(f'{", " if number else "{"}"{number}": {json.dumps(file.name)}'.encode())
            entry.write(b"}" if len(files) else b"{}")
        for number, file in enumerate(files):
            # Sounds and pictures are already compressed. Their dates do not matter.
            with file.open("rb") as content, archive.open(zipfile.ZipInfo(str(number)), "w") as entry:
                shutil.copyfileobj(content, entry)


def _distinct_files(files: Sequence[Path]) -> LazyPaths:
    """Return the files without duplicates; make sure that Anki can store each under its own name."""
    # Some systems do not distinguish upper and lower case, and the deck must work on all of them.
    by_name: dict[str, int] = {}
    for number, file in enumerate(files):
        if not file.is_file():
            raise ProviderError(f"The media file {file} does not exist.")
        if removed := _REMOVED.search(file.name):
            raise ProviderError(
                f"Anki cannot store the media file {file.name!r} under this name: it removes {removed[0]!r}."
            )
        first = by_name.setdefault(file.name.lower(), number)
        if first != number:
            other = files[first]
            if other != file and not (other.name == file.name and filecmp.cmp(other, file, shallow=False)):
                raise ProviderError(f"Two different media files have the same name: {other} and {file}.")
    return LazyPaths(str(files[number]) for number in by_name.values())


def _genanki_model(note_type: NoteType) -> Any:
    genanki = require_genanki()
    return genanki.Model(
        note_type.id,
        note_type.name,
        fields=[{"name": name} for name in note_type.fields],
        templates=[
            {"name": card.name, "qfmt": card.front, "afmt": card.back} for card in note_type.templates
        ],
        css=note_type.css,
        model_type=genanki.Model.CLOZE if note_type.is_cloze else genanki.Model.FRONT_BACK,
    )


def _genanki_note(note: Note, note_type: NoteType, model: Any) -> Any:
    unknown = [name for name in note.fields if name not in note_type.fields]
    if unknown:
        raise ProviderError(f"The note type {note_type.name!r} has no field {unknown[0]!r}.")
    # Stripped, because a field of spaces is empty to Anki but not to genanki.
    fields = [note.fields.get(name, "").replace(_SEPARATOR, " ").strip() for name in note_type.fields]
    tags = ["_".join(tag.split()) for tag in note.tags if tag.strip()]
    return require_genanki().Note(model, fields, guid=note.guid, tags=tags)


def require_genanki() -> Any:
    """Return the package genanki, which writes packages.

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


@attrs.frozen
class PackagedCard:
    """A card: its id, the number of its template (for a cloze note, of its gap), and the id of its deck."""

    id: int
    template: int
    deck: int


@attrs.frozen
class PackagedNote:
    """A note.

    Attributes:
        id: Its id.
        guid: The id by which an import recognises it.
        note_type: The id of its note type.
        values: The content of its fields, in order.
        tags: Its tags.
        modified: When it was last changed, in whole seconds since 1970.
        cards: Its cards.
    """

    id: int
    guid: str
    note_type: int
    values: tuple[str, ...]
    tags: tuple[str, ...]
    modified: int
    cards: tuple[PackagedCard, ...]


@attrs.frozen
class Package:
    """An open package.

    Attributes:
        path: Its file.
        note_types: The note types by id.
        decks: The names of all decks with cards, by id.
        media: The archive entries of the media files, by name. Files that are listed but missing are not included.
    """

    path: Path
    note_types: Mapping[int, NoteType]
    decks: Mapping[int, str]
    media: Mapping[str, zipfile.ZipInfo]
    _archive: zipfile.ZipFile = attrs.field(repr=False, alias="archive")
    _database: sqlite3.Connection = attrs.field(repr=False, alias="database")

    def notes(self) -> Iterator[PackagedNote]:
        """Yield the notes in the order of their ids.

        Raises:
            DataError: The package is damaged.
        """
        with _read_errors(self.path):
            rows = self._database.execute(_NOTES)
            for (id, guid, type_id, tags, fields, modified), cards in itertools.groupby(
                rows, lambda row: row[:6]
            ):
                note_type = self.note_types[int(type_id)]
                # As many values as the note type has fields, even if the note has more or fewer.
                padded = str(fields) + _SEPARATOR * len(note_type.fields)
                values = tuple(padded.split(_SEPARATOR)[: len(note_type.fields)])
                found = [PackagedCard(*map(int, card[6:])) for card in cards if card[6] is not None]
                valid = tuple(
                    card
                    for card in found
                    if note_type.is_cloze or card.template in range(len(note_type.templates))
                )
                words = tuple(str(tags).split())
                yield PackagedNote(int(id), str(guid), note_type.id, values, words, int(modified), valid)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of a media file in chunks. All but the last have a multiple of three bytes.

        Raises:
            DataError: The package is damaged.
        """
        with _read_errors(self.path, f" (its file {name!r})"), self._archive.open(self.media[name]) as file:
            while chunk := file.read(_CHUNK):
                yield chunk


@contextmanager
def open_package(path: Path) -> Iterator[Package]:
    """Open a package in the format that every Anki reads, for the duration of the context.

    Raises:
        DataError: It cannot be read, is not such a package, or is damaged.
    """
    with ExitStack() as stack:
        with _read_errors(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            entries = {entry.filename: entry for entry in archive.infolist()}
            collection = _collection(path, entries)
            file = Path(stack.enter_context(tempfile.TemporaryDirectory()), "collection")
            with archive.open(collection) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target)
            database = stack.enter_context(
                closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True))
            )
            database.execute("PRAGMA trusted_schema = OFF")
            database.text_factory = lambda data: data.decode("utf-8", "replace")
            models, decks = map(json.loads, database.execute("SELECT models, decks FROM col").fetchone())
            note_types = {int(id): _note_type(int(id), model) for id, model in models.items()}
            used = [int(id) for (id,) in database.execute(_DECK_IDS)]
            names = {id: str(decks.get(str(id), {}).get("name", "")) for id in used}
            package = Package(path, note_types, names, _media(archive, entries), archive, database)
        yield package


def _collection(path: Path, entries: Mapping[str, zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """Return the archive entry of the collection, if the package can be read."""
    if "collection.anki21b" in entries:
        raise DataError(
            f"{path} can only be read by Anki 2.1.50 and later.",
            hint='Export it from Anki again, with "Support older Anki versions" checked.',
        )
    collection = entries.get("collection.anki21") or entries.get("collection.anki2")
    if collection is None:
        raise DataError(f"{path} is not an Anki package: it contains no collection.")
    if collection.flag_bits & 1:
        raise DataError(f"{path} cannot be read: it is encrypted.")
    if sum(entry.file_size for entry in entries.values()) > MAX_UNPACKED:
        raise DataError(
            f"{path} is too large to be read: it unpacks to more than {MAX_UNPACKED >> 30} GiB.",
            hint="Build a deck from a part of the word list.",
        )
    return collection


def _note_type(id: int, model: Mapping[str, Any]) -> NoteType:
    return NoteType(
        id=id,
        name=str(model["name"]),
        fields=tuple(str(field["name"]) for field in model["flds"]),
        templates=tuple(
            CardTemplate(str(part["name"]), str(part["qfmt"]), str(part["afmt"])) for part in model["tmpls"]
        ),
        css=str(model["css"]),
        is_cloze=model.get("type") == 1,
    )


def _media(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    listed = json.loads(archive.read("media")) if "media" in entries else {}
    return {
        # Anki normalises names in the same way before it looks for a file.
        unicodedata.normalize("NFC", str(name)): entries[number]
        for number, name in listed.items()
        if number.isdecimal() and number in entries
    }


@contextmanager
def _read_errors(path: Path, part: str = "") -> Iterator[None]:
    """Turn everything that reading may raise into an error that names the damaged file."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged archive, database or JSON may raise anything
        raise DataError(
            f"{path} is damaged, or is not an Anki package{part}: {format_error(error)}.",
            hint="Build the deck again.",
        ) from error
