"""Reads and writes Anki packages: `.apkg` files of the form that every Anki reads, which is what genanki writes."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from deckwright.providers.deck import CardTemplate
from fake_anki.collection import AnkiError, AnkiNote, AnkiNoteType

# The tables of this form, as far as a reader looks at them.
_TABLES = """
CREATE TABLE col (id integer primary key, crt integer, mod integer, scm integer, ver integer, dty integer,
    usn integer, ls integer, conf text, models text, decks text, dconf text, tags text);
CREATE TABLE notes (id integer primary key, guid text, mid integer, mod integer, usn integer, tags text,
    flds text, sfld integer, csum integer, flags integer, data text);
CREATE TABLE cards (id integer primary key, nid integer, did integer, ord integer, mod integer, usn integer,
    type integer, queue integer, due integer, ivl integer, factor integer, reps integer, lapses integer,
    left integer, odue integer, odid integer, flags integer, data text);
CREATE TABLE revlog (id integer primary key, cid integer, usn integer, ease integer, ivl integer,
    lastIvl integer, factor integer, time integer, type integer);
CREATE TABLE graves (usn integer, oid integer, type integer);
"""
_SETTINGS: Mapping[str, object] = {
    "id": 1, "name": "Default", "mod": 0, "usn": 0, "maxTaken": 60, "autoplay": True, "timer": 0, "replayq": True,
    "new": {"bury": False, "delays": [1.0, 10.0], "initialFactor": 2500, "ints": [1, 4, 0], "order": 1, "perDay": 20},
    "rev": {"bury": False, "ease4": 1.3, "ivlFct": 1.0, "maxIvl": 36500, "perDay": 200, "hardFactor": 1.2},
    "lapse": {"delays": [10.0], "leechAction": 1, "leechFails": 8, "minInt": 1, "mult": 0.0},
}  # fmt: skip


@attrs.frozen
class PackagedNoteType:
    """A note type in a package, and when it was last changed, in whole seconds since 1970."""

    note_type: AnkiNoteType
    modified: int


@attrs.frozen
class PackagedNote:
    """A note in a package.

    Attributes:
        id: Its number.
        guid: What it is known by.
        note_type: The number of its note type.
        values: The content of its fields, in order.
        tags: Its tags.
        modified: When it was last changed, in whole seconds since 1970.
        cards: The deck of each card, by the place of the card's template.
    """

    id: int
    guid: str
    note_type: int
    values: tuple[str, ...]
    tags: tuple[str, ...]
    modified: int
    cards: Mapping[int, str]


@attrs.frozen
class Package:
    """All that matters of a package: its note types by number, its notes, and its media by name."""

    note_types: Mapping[int, PackagedNoteType]
    notes: Sequence[PackagedNote]
    media: Mapping[str, bytes]


def read_package(path: Path) -> Package:
    """Read a package.

    Raises:
        AnkiError: It is not there, or not a package, or of a form that only Anki itself reads.
    """
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            names = set(archive.namelist())
            if "collection.anki21b" in names:
                raise AnkiError("unsupported package in the test server: made for Anki 2.1.50 and later only")
            database = "collection.anki21" if "collection.anki21" in names else "collection.anki2"
            numbers = json.loads(archive.read("media"))
            media = {name: archive.read(number) for number, name in numbers.items() if number in names}
            with closing(sqlite3.connect(archive.extract(database, folder))) as connection:
                return Package(*_read_collection(connection), media)
    except OSError as error:
        raise AnkiError(f"Failed to open '{path}': {error.strerror} (os error {error.errno})") from error
    except (zipfile.BadZipFile, KeyError, ValueError, sqlite3.Error) as error:
        raise AnkiError(f"invalid Zip archive: {error}") from error


def _read_collection(
    connection: sqlite3.Connection,
) -> tuple[dict[int, PackagedNoteType], list[PackagedNote]]:
    models, decks = map(json.loads, connection.execute("SELECT models, decks FROM col").fetchone())
    cards: dict[int, dict[int, str]] = {}
    for note_id, place, deck_id in connection.execute("SELECT nid, ord, did FROM cards ORDER BY nid, ord"):
        cards.setdefault(note_id, {})[place] = decks[str(deck_id)]["name"]
    notes = [
        PackagedNote(
            id, guid, mid, tuple(flds.split("\x1f")), tuple(tags.split()), int(mod), cards.get(id, {})
        )
        for id, guid, mid, mod, tags, flds in connection.execute(
            "SELECT id, guid, mid, mod, tags, flds FROM notes ORDER BY id"
        )
    ]
    return {int(number): _note_type(int(number), model) for number, model in models.items()}, notes


def _note_type(number: int, model: Mapping[str, Any]) -> PackagedNoteType:
    fields = tuple(field["name"] for field in model["flds"])
    templates = tuple(CardTemplate(part["name"], part["qfmt"], part["afmt"]) for part in model["tmpls"])
    note_type = AnkiNoteType(number, model["name"], fields, templates, model["css"], model["type"] == 1)
    return PackagedNoteType(note_type, int(model["mod"]))


def write_package(
    path: Path, note_types: Iterable[AnkiNoteType], notes: Sequence[AnkiNote], media: Mapping[str, bytes]
) -> None:
    """Write a package that Anki imports.

    Args:
        path: The file.
        note_types: The note types of the notes.
        notes: The notes. Only those of their cards that are to be in the package are among their cards.
        media: The content of the media files, by name.
    """
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, "w") as archive:
        database = Path(folder, "collection.anki2")
        with closing(sqlite3.connect(database)) as connection:
            _write_collection(connection, {note_type.name: note_type for note_type in note_types}, notes)
            connection.commit()
        archive.write(database, "collection.anki2")
        archive.writestr("media", json.dumps(dict(enumerate(media))))
        for number, data in enumerate(media.values()):
            archive.writestr(str(number), data)


def _write_collection(
    connection: sqlite3.Connection, note_types: Mapping[str, AnkiNoteType], notes: Sequence[AnkiNote]
) -> None:
    now = int(time.time())
    decks = {
        name: 1_000 + number for number, name in enumerate(sorted({d for note in notes for d in note.decks}))
    }
    models = {str(note_type.id): _model(note_type, now) for note_type in note_types.values()}
    kept_decks = {str(number): _deck(number, name, now) for name, number in {"Default": 1, **decks}.items()}
    conf = {"nextPos": 1, "curDeck": 1, "activeDecks": [1], "curModel": next(iter(models), None)}
    texts = map(json.dumps, (conf, models, kept_decks, {"1": _SETTINGS}, {}))
    connection.executescript(_TABLES)
    connection.execute(
        "INSERT INTO col VALUES (1, ?, ?, ?, 11, 0, 0, 0, ?, ?, ?, ?, ?)",
        (now, now * 1000, now * 1000, *texts),
    )
    for note in notes:
        values = list(note.fields.values())
        tags = f" {' '.join(note.tags)} " if note.tags else ""
        connection.execute(
            "INSERT INTO notes VALUES (?, ?, ?, ?, -1, ?, ?, ?, 0, 0, '')",
            (
                note.id,
                note.guid,
                note_types[note.note_type].id,
                note.modified,
                tags,
                "\x1f".join(values),
                values[0],
            ),
        )
        connection.executemany(
            "INSERT INTO cards VALUES (?, ?, ?, ?, ?, -1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '')",
            ((card.id, note.id, decks[card.deck], card.template, note.modified) for card in note.cards),
        )


def _model(note_type: AnkiNoteType, now: int) -> dict[str, object]:
    return {
        "id": note_type.id, "name": note_type.name, "type": int(note_type.is_cloze), "mod": now, "usn": -1,
        "sortf": 0, "did": 1, "css": note_type.css, "latexPre": "", "latexPost": "", "req": [], "tags": [], "vers": [],
        "flds": [
            {"name": name, "ord": place, "sticky": False, "rtl": False, "font": "Arial", "size": 20, "media": []}
            for place, name in enumerate(note_type.fields)
        ],
        "tmpls": [
            {"name": part.name, "ord": place, "qfmt": part.front, "afmt": part.back, "bqfmt": "", "bafmt": "",
             "did": None}
            for place, part in enumerate(note_type.templates)
        ],
    }  # fmt: skip


def _deck(number: int, name: str, now: int) -> dict[str, object]:
    today = {"newToday": [0, 0], "revToday": [0, 0], "lrnToday": [0, 0], "timeToday": [0, 0]}
    return {
        "id": number, "name": name, "mod": now, "usn": -1, "desc": "", "dyn": 0, "conf": 1, "collapsed": False,
        "extendNew": 0, "extendRev": 0, **today,
    }  # fmt: skip
