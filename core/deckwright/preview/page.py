"""Writes the page: `page.html` with its style and scripts, and the deck as JSON, with its media in base64."""

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

from deckwright.anki.package import Package, PackagedNote, open_package
from deckwright.errors import DataError
from deckwright.preview.note_content import PARTS, MissingPart, Origins, is_empty, media_in, plain
from deckwright.preview.report import Report, read_report

# In the first bytes of every preview, to recognise one.
MARK = b'<meta name="generator" content="deckwright preview">'

# The module mimetypes would give other answers on other systems.
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
        path: Its file.
        deck: The deck's name.
        notes: The number of notes.
        cards: The number of cards.
        sounds: The number of sound and video files.
        pictures: The number of pictures.
        missing: The number of notes that lack something.
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


def write_preview(
    source: Path, output: Path | None = None, *, origins: Origins | None = None, force: bool = False
) -> Preview:
    """Write a preview of a deck. The page appears only when it is complete.

    Args:
        source: An Anki package, or the report of the build that wrote it. With a report, the page also shows why
            something is missing.
        output: The page; by default it has the name of the package. An existing preview is replaced.
        origins: Returns where media files came from.
        force: Also replace a file that is not a preview.

    Raises:
        DataError: The source cannot be read, or the page cannot be written; an existing file is not changed.
    """
    report = None if zipfile.is_zipfile(source) or source.suffix == ".apkg" else read_report(source)
    package = report.package if report else source
    output = output or package.with_suffix(".html")
    try:
        _check_output(output, (source, package), force)
        with (
            open_package(package) as opened,
            tempfile.TemporaryDirectory(prefix=".preview-", dir=output.parent) as folder,
        ):
            finished = Path(folder, "finished.html")
            with finished.open("wb") as target:
                counts = _write(target, opened, report, origins)
            size = finished.stat().st_size
            finished.replace(output)
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror or error}.") from error
    return Preview(path=output, bytes=size, **counts)


def _check_output(output: Path, sources: Iterable[Path], force: bool) -> None:
    if output.is_dir():
        raise DataError(f"{output} is a folder; the preview needs the name of a file.")
    if not output.parent.is_dir():
        raise DataError(f"{output} cannot be written: there is no folder {output.parent}.")
    if not output.exists():
        return
    if any(source.exists() and output.samefile(source) for source in sources):
        raise DataError(f"{output} cannot be replaced: it is the deck to show. Name another file with -o.")
    with output.open("rb") as file:
        if MARK not in file.read(1024) and not force:
            raise DataError(
                f"{output} already exists and is not a preview.",
                hint="Name another file with -o, or replace it with --force.",
            )


def _write(
    target: BinaryIO, package: Package, report: Report | None, origins: Origins | None
) -> dict[str, Any]:
    """Write the page part by part, so that it is never in memory as a whole; return the counts."""
    page, style, *scripts = map(_resource, ("page.html", "page.css", "data.js", "card.js", "page.js"))
    script = "\n".join(scripts)
    head, tail = page.split("$data")
    names = list(package.decks.values())
    deck = report.deck if report else names[0] if len(names) == 1 else package.path.stem
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    head = Template(head).substitute(title=html.escape(deck), style=style, hash=digest)
    target.write(head.encode("utf-8", "replace"))

    kinds = [_type(name).partition("/")[0] for name in package.media]
    counts: dict[str, Any] = {"deck": deck, "notes": 0, "cards": 0, "missing": 0}
    counts |= {"sounds": kinds.count("audio") + kinds.count("video"), "pictures": kinds.count("image")}
    target.write(b'<script type="application/json" id="notes">[\n')
    for packaged in package.notes():
        note = _note(packaged, package, report)
        target.write((b",\n" if counts["notes"] else b"") + _json(note))
        counts["notes"] += 1
        counts["cards"] += len(note["cards"])
        counts["missing"] += bool(note["missing"])
    target.write(b"\n]</script>\n")
    media = _write_media(target, package, origins)
    whole = {
        "name": deck,
        "counts": {**counts, "bytes": package.path.stat().st_size},
        "noteTypes": {id: attrs.asdict(note_type) for id, note_type in package.note_types.items()},
        "decks": package.decks,
        "media": media,
    }
    target.write(b'<script type="application/json" id="deck">' + _json(whole) + b"</script>\n")
    target.write(tail.replace("$script", script).encode())
    return counts


def _write_media(target: BinaryIO, package: Package, origins: Origins | None) -> dict[str, Any]:
    """Write each media file as a block of its own; return what the page needs to know about each."""
    known = origins(list(package.media)) if origins else {}
    media = {}
    for number, (name, entry) in enumerate(package.media.items()):
        block = f"media-{number}"
        origin = attrs.asdict(known[name]) if name in known else None
        media[name] = {"block": block, "type": _type(name), "bytes": entry.file_size, "origin": origin}
        target.write(f'<script type="application/json" id="{block}">"'.encode())
        for chunk in package.read(name):
            target.write(base64.b64encode(chunk))
        target.write(b'"</script>\n')
    return media


def _note(note: PackagedNote, package: Package, report: Report | None) -> dict[str, Any]:
    fields = dict(zip(package.note_types[note.note_type].fields, note.values, strict=True))
    media = list(dict.fromkeys(name for value in note.values for name in media_in(value)))
    return {
        "type": note.note_type,
        "fields": note.values,
        "tags": " ".join(note.tags),
        "cards": [(card.template, card.deck, card.id) for card in note.cards],
        "media": media,
        "missing": [attrs.asdict(item) for item in _missing(fields, media, package, report)],
    }


def _missing(
    fields: Mapping[str, str], media: Iterable[str], package: Package, report: Report | None
) -> Iterator[MissingPart]:
    if PARTS.keys() <= fields.keys():
        reported = report.missing.get(plain(next(iter(fields.values()))), {}) if report else {}
        for field, (part, _) in PARTS.items():
            if is_empty(fields[field]):
                yield reported.get(part, MissingPart(part))
    for name in media:
        if name not in package.media:
            reason = "The deck names this file, but the package does not contain it."
            yield MissingPart(name, failed=True, reasons={"": reason})


def _resource(name: str) -> str:
    # Without carriage returns: a browser removes them before it checks the hash of the script.
    text = (files("deckwright.preview") / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _type(name: str) -> str:
    return _TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")


def _json(value: Any) -> bytes:
    """Return ASCII JSON that cannot end the HTML element around it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").encode("ascii")
