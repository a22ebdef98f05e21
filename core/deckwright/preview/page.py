"""Writes the page: `page.html` with the style, the deck as JSON, its media as base64, and the script that shows it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from string import Template
from typing import Any, BinaryIO

import attrs

from deckwright.anki.package_reader import Package, PackagedNote, open_package
from deckwright.errors import DataError
from deckwright.preview.parts import PARTS, Missing, Origin, Origins, is_empty, media_in, plain
from deckwright.preview.report import Report, read_report

# By this, in its first bytes, a preview is known as one.
MARK = b'<meta name="generator" content="deckwright preview">'

# Not the module mimetypes, whose answers depend on the system.
_TYPES = {
    ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav",
    ".flac": "audio/flac", ".m4a": "audio/mp4", ".aac": "audio/aac", ".3gp": "audio/3gpp",
    ".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime", ".ogv": "video/ogg",
    ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
    ".webp": "image/webp", ".avif": "image/avif", ".bmp": "image/bmp", ".ico": "image/x-icon",
    ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
}  # fmt: skip


@attrs.frozen
class Preview:
    """A preview that was written.

    Attributes:
        path: Where it is.
        deck: The deck's name.
        notes: How many notes it has.
        cards: How many cards.
        sounds: How many files of sound (and film) it has.
        pictures: How many pictures.
        missing: How many notes lack something.
        bytes: The size of the page.
    """

    path: Path
    deck: str
    notes: int
    cards: int
    sounds: int
    pictures: int
    missing: int
    bytes: int


def _none_known(names: object) -> Mapping[str, Origin]:
    return {}


def write_preview(
    source: Path, output: Path | None = None, *, origins: Origins = _none_known, force: bool = False
) -> Preview:
    """Write a preview of a deck, beside `output` first and there once it is complete.

    Args:
        source: An Anki package, or the report of the build that wrote one; with it, the page also says why
            something is missing.
        output: The page; beside the package, under the same name, when not given. A preview that is there is
            replaced.
        origins: Says where media files came from.
        force: Also replace a file that is no preview.

    Raises:
        DataError: The source cannot be read, or the page not be written; a file that was there stays.
    """
    report = None if zipfile.is_zipfile(source) or source.suffix == ".apkg" else read_report(source)
    package = report.package if report else source
    output = output or package.with_suffix(".html")
    _check_output(output, (source, package), force)
    with open_package(package) as opened:
        try:
            with tempfile.TemporaryDirectory(prefix=".preview-", dir=output.parent) as folder:
                finished = Path(folder, "finished.html")
                with finished.open("wb") as target:
                    counts = _write(target, opened, report, origins)
                size = finished.stat().st_size
                finished.replace(output)
        except OSError as error:
            raise DataError(f"{output} cannot be written: {error.strerror or error}.") from error
    return Preview(path=output, bytes=size, **counts)


def _check_output(output: Path, sources: Iterable[Path], force: bool) -> None:
    try:
        if output.is_dir():
            raise DataError(f"{output} is a folder; the preview needs the name of a file.")
        if not output.parent.is_dir():
            raise DataError(f"{output} cannot be written: there is no folder {output.parent}.")
        if not output.exists():
            return
        if any(source.exists() and output.samefile(source) for source in sources):
            raise DataError(f"{output} is what the preview would be made of; -o names another file.")
        with output.open("rb") as file:
            if MARK not in file.read(1024) and not force:
                raise DataError(
                    f"{output} is there already, and no preview.",
                    hint="-o names another file; --force replaces it.",
                )
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror or error}.") from error


def _write(target: BinaryIO, package: Package, report: Report | None, origins: Origins) -> dict[str, Any]:
    """Write the page in the order of its parts, of which only one is in memory at a time; return the counts."""
    folder = files("deckwright.preview")
    page, style, script = (
        # Without the carriage returns of a checkout, which the browser drops before it looks at the hash.
        (folder / name).read_text(encoding="utf-8").replace("\r\n", "\n")
        for name in ("page.html", "page.css", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    head, tail = page.split("$data")
    deck = report.deck if report else _deck_name(package)
    head = Template(head).substitute(title=html.escape(deck), style=style, hash=digest)
    target.write(head.encode("utf-8", "replace"))

    counter = _Counter()
    target.write(b'<script type="application/json" id="notes">[\n')
    for number, note in enumerate(package.notes()):
        target.write(b",\n" if number else b"")
        target.write(_json(_note(note, package, report, counter)))
    target.write(b"\n]</script>\n")
    known = origins(list(package.media))
    media = {
        name: {
            "block": f"media-{number}",
            "type": _type(name),
            "bytes": entry.file_size,
            "origin": attrs.asdict(known[name]) if name in known else None,
        }
        for number, (name, entry) in enumerate(package.media.items())
    }
    for name, file in media.items():
        target.write(f'<script type="application/json" id="{file["block"]}">"'.encode())
        for piece in package.read(name):
            target.write(base64.b64encode(piece))
        target.write(b'"</script>\n')
    kinds = [_type(name).partition("/")[0] for name in package.media]
    counts: dict[str, Any] = {
        "deck": deck,
        "notes": counter.notes,
        "cards": counter.cards,
        "sounds": kinds.count("audio") + kinds.count("video"),
        "pictures": kinds.count("image"),
        "missing": counter.missing,
    }
    whole = {
        "name": deck,
        "counts": {**counts, "bytes": package.path.stat().st_size},
        "noteTypes": {number: attrs.asdict(kind) for number, kind in package.note_types.items()},
        "decks": package.decks,
        "media": media,
    }
    target.write(b'<script type="application/json" id="deck">' + _json(whole) + b"</script>\n")
    target.write(tail.replace("$script", script).encode())
    return counts


@attrs.define
class _Counter:
    notes: int = 0
    cards: int = 0
    missing: int = 0


def _note(note: PackagedNote, package: Package, report: Report | None, counter: _Counter) -> dict[str, Any]:
    kind = package.note_types[note.note_type]
    media = list(dict.fromkeys(name for value in note.values for name in media_in(value)))
    missing = list(_missing(dict(zip(kind.fields, note.values, strict=True)), media, package, report))
    counter.notes += 1
    counter.cards += len(note.cards)
    counter.missing += bool(missing)
    return {
        "type": note.note_type,
        "fields": note.values,
        "tags": note.tags,
        "cards": [(card.place, card.deck, card.id) for card in note.cards],
        "media": media,
        "missing": [attrs.asdict(item) for item in missing],
    }


def _missing(
    fields: Mapping[str, str], media: Iterable[str], package: Package, report: Report | None
) -> Iterator[Missing]:
    if PARTS.keys() <= fields.keys():
        word = plain(next(iter(fields.values())))
        for field, (part, _) in PARTS.items():
            if is_empty(fields[field]):
                told = report.missing.get((word, part)) if report else None
                yield told or Missing(part)
    for name in media:
        if name not in package.media:
            yield Missing(
                name, failed=True, reasons={"": "The deck names this file, and it is not in the package."}
            )


def _deck_name(package: Package) -> str:
    names = list(package.decks.values())
    return names[0] if len(names) == 1 else package.path.stem


def _type(name: str) -> str:
    return _TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")


def _json(value: Any) -> bytes:
    """Return JSON in ASCII, in which no text can end the element that it stands in."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").encode("ascii")
