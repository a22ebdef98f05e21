"""Packages with any content, including content that Anki would not write, to test how they are read."""

from __future__ import annotations

import itertools
import json
import sqlite3
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import genanki

from deckwright import CardTemplate, NoteType

# A picture.
PIXEL = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9" fill="red"/></svg>'
_DECK = 5


def model(
    fields: Sequence[str],
    *cards: tuple[str, str],
    css: str = ".card { color: navy; }",
    name: str = "Samples",
    cloze: bool = False,
) -> NoteType:
    """Return a note type. A card is the text of its front and the text of its back."""
    templates = (CardTemplate(f"Card {number}", *sides) for number, sides in enumerate(cards, 1))
    return NoteType(1, name, tuple(fields), tuple(templates), css, cloze)


def write_apkg(
    path: Path,
    notes: Sequence[Sequence[str] | bytes],
    model: NoteType,
    media: Mapping[str, bytes] | None = None,
    *,
    deck: str = "Samples",
    tags: str = "",
    templates: Sequence[int] | None = None,
    collection: str = "collection.anki2",
    missing: Sequence[str] = (),
) -> Path:
    """Write a package.

    Args:
        path: The file.
        notes: The fields of each note; bytes go into the database unchanged.
        model: The note type of all notes.
        media: The files, by the names that the package gives them.
        deck: The deck of all cards.
        tags: The tags of every note.
        templates: The template numbers of each note's cards; by default one for each template.
        collection: The name of the collection in the package.
        missing: Media that the package lists but does not contain.
    """
    database = path.with_suffix(".anki2")
    templates = range(len(model.templates)) if templates is None else templates
    genanki_deck = genanki.Deck(_DECK, deck)
    genanki_model = genanki.Model(
        model.id,
        model.name,
        fields=[{"name": name} for name in model.fields],
        templates=[{"name": part.name, "qfmt": part.front, "afmt": part.back} for part in model.templates],
        css=model.css,
        model_type=int(model.is_cloze),
    )
    # genanki would compute this from the templates, which may be broken. Anki does not need it.
    genanki_model._req = []
    genanki_deck.add_model(genanki_model)
    with closing(sqlite3.connect(database)) as connection:
        # Fast, and not safe if the power fails.
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;")
        genanki.Package(genanki_deck).write_to_db(connection.cursor(), 1, itertools.count(1))
        cards = itertools.count(1)
        for number, fields in enumerate(notes, 1):
            values = fields if isinstance(fields, bytes) else "\x1f".join(fields).encode()
            connection.execute(
                "INSERT INTO notes VALUES (?, ?, ?, 1, -1, ?, CAST(? AS TEXT), '', 0, 0, '')",
                (number, f"note-{number}", model.id, f" {tags} ", values),
            )
            connection.executemany(
                "INSERT INTO cards VALUES (?, ?, ?, ?, 1, -1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '')",
                [(next(cards), number, _DECK, template) for template in templates],
            )
        connection.commit()
    files = dict(media or {})
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(database, collection)
        archive.writestr("media", json.dumps(dict(enumerate(files))))
        for number, (name, data) in enumerate(files.items()):
            if name not in missing:
                archive.writestr(str(number), data)
    database.unlink()
    return path
