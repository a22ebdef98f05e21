"""Writes a deck as an Anki package: one `.apkg` file with notes, cards, sounds and pictures, ready to import.

Importing a later build of the same deck updates the notes that are there and adds the new ones. Anki tells
old from new by whole seconds: of two builds within the same second, it takes the second one for the first.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import itertools
import json
import re
import sqlite3
import tempfile
import time
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from deckwright import (
    CardTemplate,
    Deck,
    MissingDependencyError,
    Note,
    NoteType,
    ProviderError,
    ProviderInfo,
    SyncProvider,
    SyncResult,
    hookimpl,
)

EXTRA = "deckwright[offline]"
# The keys of a card that are not fields of its note.
_ABOUT_THE_CARD = {"guid", "tags", "deck", "note_type"}
_PLAIN_STYLE = ".card { font-family: sans-serif; font-size: 20px; text-align: center; }"


@attrs.define
class ApkgSettings:
    """The settings of `apkg`."""

    path: Path | None = attrs.field(
        default=None, metadata={"help": "the file to write; named after the deck, when not set"}
    )
    deck: str = attrs.field(default="Deckwright", metadata={"help": "the deck of cards that name none"})


class Apkg(SyncProvider):
    """Writes `.apkg` files with genanki.

    A file is written as a whole or not at all, and then takes the place of an older one. `sync_deck` writes one
    deck. The single steps work too: templates, media and cards are kept, and every `sync_cards` writes the file
    anew with all that came so far.
    """

    config_class = ApkgSettings

    def _setup_from_config(self) -> None:
        self._templates: dict[str, list[dict[str, Any]]] = {}
        self._media: list[Path] = []
        self._cards: list[dict[str, Any]] = []

    def _test_connection_impl(self) -> bool:
        _genanki()
        with tempfile.TemporaryDirectory(dir=self.destination(self.settings.deck).parent):
            return True

    def sync_deck(self, deck: Deck) -> SyncResult:
        """Write the deck to its `output`, else to the configured path, else to a file named after it.

        Returns:
            The number of notes, and in `metadata` the `path`, its size in `bytes`, and the number of `cards`.
            Whatever goes wrong is in the result; nothing is raised, and a file that was there stays.
        """
        try:
            return _write(self.destination(deck.name, deck.output), [deck], deck.media)
        except Exception as error:  # noqa: BLE001 - a result in any case is the contract of this method
            return SyncResult(success=False, processed_count=0, error_message=self._told(error))

    def sync_templates(self, note_type: str, templates: list[dict[str, Any]]) -> SyncResult:
        """Keep the templates of a note type, dicts of `name`, `front`, `back`, for the file to come."""
        self._templates[note_type] = list(templates)
        return SyncResult(success=True, processed_count=len(templates))

    def sync_media(self, files: Sequence[Path]) -> SyncResult:
        """Keep media files for the file to come. They are read when it is written."""
        self._media += files
        return SyncResult(success=True, processed_count=len(files))

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        kept = [*self._cards, *cards]
        decks = self._decks(kept)
        result = _write(self.destination(decks[0].name if decks else self.settings.deck), decks, self._media)
        self._cards = kept
        return attrs.evolve(result, processed_count=len(cards))

    def _decks(self, cards: Iterable[dict[str, Any]]) -> list[Deck]:
        """Sort loose cards into decks, each with the notes of one note type."""
        by_note_type: dict[str, list[dict[str, Any]]] = {}
        for card in cards:
            by_note_type.setdefault(self._note_type_name(card), []).append(card)
        decks = []
        for name, group in by_note_type.items():
            note_type = self._note_type(name, group)
            by_deck: dict[str, list[Note]] = {}
            for card in group:
                by_deck.setdefault(card.get("deck") or self.settings.deck, []).append(_note(card, note_type))
            decks += [Deck(deck_name, note_type, tuple(notes)) for deck_name, notes in by_deck.items()]
        return decks

    def _note_type_name(self, card: dict[str, Any]) -> str:
        name = card.get("note_type") or next(iter(self._templates), None)
        if name not in self._templates:
            raise ProviderError(
                f"There are no templates for the note type {name!r}.",
                hint="Call sync_templates before sync_cards.",
            )
        return str(name)

    def _note_type(self, name: str, cards: Iterable[dict[str, Any]]) -> NoteType:
        fields = dict.fromkeys(key for card in cards for key in card if key not in _ABOUT_THE_CARD)
        templates = (
            CardTemplate(part["name"], part["front"], part["back"]) for part in self._templates[name]
        )
        return NoteType(_stable_id(f"note type {name}"), name, tuple(fields), tuple(templates), _PLAIN_STYLE)

    def destination(self, deck: str, output: Path | None = None) -> Path:
        """Return the file: the one asked for, else the configured one, else one named after the deck."""
        path = output or self.settings.path
        if path is None:
            slug = re.sub(r"\W+", "-", deck).strip("-").lower()
            # Three bytes for each of 80 letters stay within the 255 that a file's name may have.
            return Path(f"{slug[:80] or 'deck'}.apkg")
        path = Path(path)
        if path.suffix.lower() == ".apkg" or path.is_dir():
            return path
        return path.with_name(f"{path.name}.apkg")  # Anki opens no other


def _note(card: dict[str, Any], note_type: NoteType) -> Note:
    fields = {name: str(card.get(name, "")) for name in note_type.fields}
    guid = card.get("guid") or _genanki().guid_for(note_type.name, next(iter(fields.values()), ""))
    return Note(str(guid), fields, tuple(card.get("tags") or ()))


def _write(path: Path, decks: Sequence[Deck], media: Iterable[Path]) -> SyncResult:
    """Write the package beside `path`, and move it there once it is complete."""
    package = _genanki().Package([_genanki_deck(deck) for deck in decks])
    try:
        media_by_name = _media_by_name(media)
        if path.is_dir():
            raise ProviderError(f"{path} is a folder; the package needs the name of a file.")
        if not path.parent.is_dir():
            raise ProviderError(f"{path} cannot be written: there is no folder {path.parent}.")
        with tempfile.TemporaryDirectory(prefix=".apkg-", dir=path.parent) as folder:
            collection, finished = Path(folder, "collection.anki2"), Path(folder, "finished.apkg")
            cards = _write_collection(collection, package)
            _zip(finished, collection, media_by_name)
            size = finished.stat().st_size
            finished.replace(path)
    except OSError as error:
        culprit = f" ({error.filename})" if error.filename and Path(error.filename).is_file() else ""
        raise ProviderError(f"{path} cannot be written: {error.strerror or error}{culprit}.") from error
    except sqlite3.OperationalError as error:
        raise ProviderError(f"{path} cannot be written: {error}.") from error
    notes = sum(len(deck.notes) for deck in decks)
    return SyncResult(True, notes, {"path": path, "cards": cards, "bytes": size})


def _write_collection(file: Path, package: Any) -> int:
    """Write the notes and cards as the database that Anki reads; return the number of cards."""
    # genanki's own write_to_file leaves a temporary file behind at every call.
    with contextlib.closing(sqlite3.connect(file)) as database:
        now = time.time()
        package.write_to_db(database.cursor(), now, itertools.count(int(now * 1000)))
        database.commit()
        return int(database.execute("SELECT count(*) FROM cards").fetchone()[0])


def _zip(target: Path, collection: Path, media: dict[str, Path]) -> None:
    # Sound and pictures are compressed already. A file may be dated before 1980, where the dates of zip begin.
    with zipfile.ZipFile(target, "w", strict_timestamps=False) as package:
        package.write(collection, "collection.anki2", zipfile.ZIP_DEFLATED)
        package.writestr("media", json.dumps(dict(enumerate(media))), zipfile.ZIP_DEFLATED)
        for number, file in enumerate(media.values()):
            package.write(file, str(number))


def _media_by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Return each file by the name that notes call it by, having made sure that Anki will keep them apart."""
    media: dict[str, Path] = {}
    names: dict[str, str] = {}
    for file in map(Path, files):
        if not file.is_file():
            raise ProviderError(f"The media file {file} does not exist.")
        if lost := re.search(r'[?<>:"|*\[\]^\\\x00-\x1f]', file.name):
            raise ProviderError(
                f"Anki cannot keep the media file {file.name!r} under this name: it drops {lost[0]!r}."
            )
        # Not every system tells upper from lower case, and the deck is to work on all of them.
        name = names.setdefault(file.name.lower(), file.name)
        first = media.setdefault(name, file)
        if first != file and not (name == file.name and filecmp.cmp(first, file, shallow=False)):
            raise ProviderError(f"Two different media files have one name: {first} and {file}.")
    return media


def _genanki_deck(deck: Deck) -> Any:
    genanki = _genanki()
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
    made = genanki.Deck(_stable_id(deck.name), deck.name, deck.description)
    for note in deck.notes:
        unknown = [name for name in note.fields if name not in note_type.fields]
        if unknown:
            raise ProviderError(f"The note type {note_type.name!r} has no field {unknown[0]!r}.")
        # Stripped: to Anki a field of spaces is empty, to genanki it is not. 0x1f is what separates fields.
        fields = [note.fields.get(name, "").replace("\x1f", " ").strip() for name in note_type.fields]
        tags = ["_".join(tag.split()) for tag in note.tags if tag.strip()]
        made.add_note(genanki.Note(model, fields, guid=note.guid, tags=tags))
    return made


def _stable_id(name: str) -> int:
    """Return the same number for the same name, in the range that genanki draws from: 2^30 up to 2^31."""
    return (1 << 30) + int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (1 << 30)


def _genanki() -> Any:
    try:
        import genanki
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"Anki packages need the package genanki ({error}).", hint=f'pip install "{EXTRA}"'
        ) from error
    return genanki


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `apkg`."""
    return [
        ProviderInfo(
            "sync",
            "apkg",
            "Writes an Anki package, a file that Anki imports",
            config_class=ApkgSettings,
            extra=EXTRA,
        )
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> SyncProvider | None:
    """Make `apkg`."""
    return Apkg(config) if (type, name) == ("sync", "apkg") else None
