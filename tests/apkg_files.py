"""Packages of any content, also such as no Anki would write, to see what becomes of them."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from fake_anki.collection import AnkiNoteType
from fake_anki.package import _SETTINGS, _TABLES, _deck, _model

from deckwright import CardTemplate

# A picture.
PIXEL = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9" fill="red"/></svg>'


def model(
    fields: Sequence[str],
    *cards: tuple[str, str],
    css: str = ".card { color: navy; }",
    name: str = "Samples",
    cloze: bool = False,
) -> AnkiNoteType:
    """Return a note type; a card is the text of its front and of its back."""
    templates = (CardTemplate(f"Card {place}", front, back) for place, (front, back) in enumerate(cards, 1))
    return AnkiNoteType(1, name, tuple(fields), tuple(templates), css, cloze)


def write_apkg(
    path: Path,
    notes: Sequence[Sequence[str] | bytes],
    model: AnkiNoteType,
    media: Mapping[str, bytes] | None = None,
    *,
    deck: str = "Samples",
    tags: str = "",
    places: Sequence[int] | None = None,
    collection: str = "collection.anki2",
    left_out: Sequence[str] = (),
) -> Path:
    """Write a package.

    Args:
        path: The file.
        notes: The fields of each note; bytes go into the database as they are.
        model: The note type of them all.
        media: The files, by the names that the package gives them.
        deck: The deck of all cards.
        tags: The tags of every note.
        places: The places of each note's cards; one for each template, when not given.
        collection: The name of the collection in the package.
        left_out: Media that the package lists and does not have.
    """
    database = path.with_suffix(".anki2")
    places = range(len(model.templates)) if places is None else places
    with closing(sqlite3.connect(database)) as connection:
        # Quick rather than safe from a power cut.
        connection.executescript(f"PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN; {_TABLES}")
        decks = {number: _deck(int(number), name, 1) for number, name in {"1": "Default", "5": deck}.items()}
        conf = {"nextPos": 1, "curDeck": 1, "activeDecks": [1], "curModel": "1"}
        connection.execute(
            "INSERT INTO col VALUES (1, 1, 1000, 1000, 11, 0, 0, 0, ?, ?, ?, ?, '{}')",
            [json.dumps(value) for value in (conf, {"1": _model(model, 1)}, decks, {"1": _SETTINGS})],
        )
        cards = 0
        for number, fields in enumerate(notes, 1):
            values = fields if isinstance(fields, bytes) else "\x1f".join(fields).encode()
            connection.execute(
                "INSERT INTO notes VALUES (?, ?, 1, 1, -1, ?, CAST(? AS TEXT), '', 0, 0, '')",
                (number, f"note-{number}", f" {tags} ", values),
            )
            for place in places:
                cards += 1
                connection.execute(
                    "INSERT INTO cards VALUES (?, ?, 5, ?, 1, -1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '')",
                    (cards, number, place),
                )
        connection.commit()
    files = dict(media or {})
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(database, collection)
        archive.writestr("media", json.dumps(dict(enumerate(files))))
        for number, (name, data) in enumerate(files.items()):
            if name not in left_out:
                archive.writestr(str(number), data)
    database.unlink()
    return path
