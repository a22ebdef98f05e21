"""Reads Anki packages of the form that every Anki reads: `collection.anki2` or `collection.anki21` in a zip.

A package may be from anywhere, so nothing in it names a place on this machine: the collection is copied to a
temporary folder under a name of our own, and media are only ever read from the archive.
"""

from __future__ import annotations

import itertools
import json
import lzma
import shutil
import sqlite3
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import DataError
from deckwright.providers.deck import CardTemplate
from deckwright.tracebacks import format_error

# The most bytes that a package may unpack to. No browser opens a page of more.
LONGEST = 1 << 30

_CHUNK = 3 << 16  # a multiple of three: what base64 turns into whole groups
# What a damaged or hostile archive, database or JSON makes the standard library raise.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    sqlite3.Error,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
)
_NOTES = """
    SELECT n.id, n.mid, n.tags, n.flds, c.id, c.ord, CASE WHEN c.odid THEN c.odid ELSE c.did END
    FROM notes n LEFT JOIN cards c ON c.nid = n.id ORDER BY n.id, c.ord
"""


@attrs.frozen
class PackagedNoteType:
    """A note type of a package."""

    name: str
    fields: tuple[str, ...]
    templates: tuple[CardTemplate, ...]
    css: str
    is_cloze: bool


@attrs.frozen
class PackagedCard:
    """A card: the place of its template (of a cloze note, of its gap), its deck and its number."""

    place: int
    deck: int
    id: int


@attrs.frozen
class PackagedNote:
    """A note: its note type's number, the content of its fields in order, its tags and its cards."""

    note_type: int
    values: tuple[str, ...]
    tags: str
    cards: tuple[PackagedCard, ...]


@attrs.frozen
class Package:
    """An open package.

    Attributes:
        path: Its file.
        note_types: Its note types by number.
        decks: The names of its decks by number, of all that have a card.
        media: The entry of each media file, by its name. Files that the package lists and lacks are not in it.
    """

    path: Path
    note_types: Mapping[int, PackagedNoteType]
    decks: Mapping[int, str]
    media: Mapping[str, zipfile.ZipInfo]
    _archive: zipfile.ZipFile = attrs.field(repr=False, alias="archive")
    _database: sqlite3.Connection = attrs.field(repr=False, alias="database")

    def notes(self) -> Iterator[PackagedNote]:
        """Yield the notes in the order in which they were made.

        Raises:
            DataError: The package is damaged.
        """
        with _damage(self.path):
            rows = self._database.execute(_NOTES)
            for (_, note_type, tags, values), cards in itertools.groupby(rows, lambda row: row[:4]):
                kind = self.note_types[int(note_type)]
                texts = str(values).split("\x1f")[: len(kind.fields)]
                texts += [""] * (len(kind.fields) - len(texts))
                its = (
                    PackagedCard(int(place), int(deck), id) for *_, id, place, deck in cards if id is not None
                )
                known = tuple(card for card in its if kind.is_cloze or 0 <= card.place < len(kind.templates))
                yield PackagedNote(int(note_type), tuple(texts), " ".join(str(tags).split()), known)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of a media file in pieces, whose lengths but the last are multiples of three.

        Raises:
            DataError: The package is damaged.
        """
        with _damage(self.path, f"its file {name!r}"), self._archive.open(self.media[name]) as file:
            while piece := file.read(_CHUNK):
                yield piece


@contextmanager
def open_package(path: Path) -> Iterator[Package]:
    """Open a package for as long as the context lasts.

    Raises:
        DataError: It cannot be read, is no such package, or is damaged.
    """
    with ExitStack() as stack:
        with _damage(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            entries = {entry.filename: entry for entry in archive.infolist()}
            collection = _collection(path, entries)
            if sum(entry.file_size for entry in entries.values()) > LONGEST:
                raise DataError(
                    f"{path} unpacks to more than {LONGEST >> 30} GiB, which no browser shows on one page.",
                    hint="Build a part of the word list, and preview that.",
                )
            file = Path(stack.enter_context(tempfile.TemporaryDirectory()), "collection")
            with archive.open(collection) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target)
            database = stack.enter_context(
                closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True))
            )
            database.execute("PRAGMA trusted_schema = OFF")
            database.text_factory = lambda data: data.decode("utf-8", "replace")
            models, decks = map(json.loads, database.execute("SELECT models, decks FROM col").fetchone())
            package = Package(
                path,
                {int(number): _note_type(model) for number, model in models.items()},
                {
                    number: str(decks.get(str(number), {}).get("name", ""))
                    for number in _deck_numbers(database)
                },
                _media(archive, entries),
                archive,
                database,
            )
        yield package


def _collection(path: Path, entries: Mapping[str, zipfile.ZipInfo]) -> zipfile.ZipInfo:
    if "collection.anki21b" in entries:
        raise DataError(
            f"{path} is a package that only Anki 2.1.50 and later can read, and a preview cannot.",
            hint='Export it from Anki once more with "Support older Anki versions" chosen.',
        )
    for name in ("collection.anki21", "collection.anki2"):
        if name in entries:
            if entries[name].flag_bits & 1:
                raise DataError(f"{path} is encrypted, and a preview cannot read it.")
            return entries[name]
    raise DataError(f"{path} is no Anki package: there is no collection in it.")


def _deck_numbers(database: sqlite3.Connection) -> list[int]:
    rows = database.execute("SELECT DISTINCT CASE WHEN odid THEN odid ELSE did END FROM cards ORDER BY 1")
    return [int(number) for (number,) in rows]


def _note_type(model: Mapping[str, Any]) -> PackagedNoteType:
    return PackagedNoteType(
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
        # Anki composes letters and accents, too, before it looks a file up.
        unicodedata.normalize("NFC", str(name)): entries[number]
        for number, name in listed.items()
        if number.isdecimal() and number in entries
    }


@contextmanager
def _damage(path: Path, what: str = "") -> Iterator[None]:
    """Turn whatever reading may raise into an error that says what is damaged."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except _DAMAGE as error:
        raise DataError(
            f"{path} is damaged, or no Anki package{f': {what}' if what else ''} ({format_error(error)}).",
            hint="Build the deck once more.",
        ) from error
