"""A collection of the real Anki with the interface of `fake_anki.collection`.

The package anki is AGPL; only these tests use it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deckwright.providers.deck import CardTemplate, NoteType
from fake_anki.collection import (
    AnkiCard,
    AnkiCollection,
    AnkiNote,
    NoteCheck,
    shown,
)


class RealCollection(AnkiCollection):
    """A new collection of the real Anki in a temporary folder; `col` is Anki's own object."""

    def __init__(self) -> None:
        from anki.collection import Collection

        self._folder = tempfile.mkdtemp(prefix="anki-")
        self.col = Collection(str(Path(self._folder, "collection.anki2")))

    @property
    def media_folder(self) -> Path:
        return Path(self.col.media.dir())

    def close(self) -> None:
        self.col.close()
        shutil.rmtree(self._folder)

    def decks(self) -> dict[str, int]:
        return {deck.name: deck.id for deck in self.col.decks.all_names_and_ids()}

    def add_deck(self, name: str) -> int:
        number = self.col.decks.id(name)
        assert number
        return number

    def note_types(self) -> dict[str, NoteType]:
        models = self.col.models
        # Python keeps them in a cache, which an import passes by.
        models._clear_cache()
        return {
            name.name: _note_type(model)
            for name in models.all_names_and_ids()
            if (model := models.get(name.id)) is not None  # type: ignore[arg-type]
        }

    def add_note_type(
        self, name: str, fields: Sequence[str], templates: Sequence[CardTemplate], css: str, *, is_cloze: bool
    ) -> NoteType:
        models = self.col.models
        model = models.new(name)
        model["css"], model["type"] = css, int(is_cloze)
        for field in fields:
            models.add_field(model, models.new_field(field))
        for template in templates:
            made = models.new_template(template.name)
            made["qfmt"], made["afmt"] = template.front, template.back
            models.add_template(model, made)
        models.add(model)
        return _note_type(self._model(name))

    def change_note_type(self, name: str, templates: Sequence[CardTemplate], css: str) -> None:
        model = self._model(name)
        model["css"] = css
        for there, template in zip(model["tmpls"], templates, strict=True):
            there["qfmt"], there["afmt"] = template.front, template.back
        self.col.models.update_dict(model)

    def check_note(self, note_type: str, fields: Mapping[str, str]) -> NoteCheck:
        return NoteCheck(self._new_note(note_type, fields).fields_check())

    def same_first_field(self, text: str, note_type: str | None = None) -> list[int]:
        rows = self.col.db.all("select id, mid, flds from notes order by id")  # type: ignore[union-attr]
        mid = None if note_type is None else self._model(note_type)["id"]
        same = [row for row in rows if shown(row[2].split("\x1f")[0]) == shown(text)]
        return [row[0] for row in same if mid is None or row[1] == mid]

    def add_note(self, note_type: str, fields: Mapping[str, str], tags: Iterable[str], deck: str) -> int:
        note = self._new_note(note_type, fields)
        note.tags = list(tags)
        self.col.add_note(note, self.decks()[deck])  # type: ignore[arg-type]
        return int(note.id)

    def note(self, note_id: int) -> AnkiNote | None:
        note = self._get(note_id)
        if note is None:
            return None
        cards = tuple(card for number in note.card_ids() if (card := self.card(number)))
        model = note.note_type()
        return AnkiNote(
            note.id, note.guid, model["name"], dict(note.items()), tuple(note.tags), cards, note.mod
        )

    def change_note(self, note_id: int, fields: Mapping[str, str], tags: Iterable[str]) -> None:
        note = self._get(note_id)
        note.fields, note.tags = list(fields.values()), list(tags)
        self.col.update_note(note)

    def remove_notes(self, note_ids: Iterable[int]) -> None:
        self.col.remove_notes(list(note_ids))  # type: ignore[arg-type]

    def find_notes(self, query: str) -> list[int]:
        return sorted(self.col.find_notes(query))

    def find_cards(self, query: str) -> list[int]:
        return sorted(self.col.find_cards(query))

    def card(self, card_id: int) -> AnkiCard | None:
        from anki.errors import NotFoundError

        try:
            card = self.col.get_card(card_id)  # type: ignore[arg-type]
        except NotFoundError:
            return None
        return AnkiCard(card.id, card.nid, card.ord, self.col.decks.name(card.did))

    def move_cards(self, card_ids: Iterable[int], deck: str) -> None:
        self.col.set_deck(list(card_ids), self.decks()[deck])  # type: ignore[arg-type]

    def store_media(self, name: str, data: bytes) -> str:
        return self.col.media.write_data(name, data)

    def trash_media(self, name: str) -> None:
        self.col.media.trash_files([name])

    def import_package(self, path: Path) -> int:
        from anki.collection import ImportAnkiPackageRequest

        log = self.col.import_anki_package(ImportAnkiPackageRequest(package_path=str(path))).log
        return len(log.new) + len(log.updated) + len(log.duplicate) + len(log.conflicting)

    def export_package(self, deck: str, path: Path) -> None:
        from anki.collection import DeckIdLimit, ExportAnkiPackageOptions

        options = ExportAnkiPackageOptions(with_media=True, legacy=True)
        limit = DeckIdLimit(self.decks()[deck])  # type: ignore[arg-type]
        self.col.export_anki_package(out_path=str(path), options=options, limit=limit)

    def _model(self, name: str) -> Any:
        self.col.models._clear_cache()
        return self.col.models.by_name(name)

    def _new_note(self, note_type: str, fields: Mapping[str, str]) -> Any:
        note = self.col.new_note(self._model(note_type))
        for name, value in fields.items():
            note[name] = value
        return note

    def _get(self, note_id: int) -> Any:
        from anki.errors import NotFoundError

        try:
            return self.col.get_note(note_id)  # type: ignore[arg-type]
        except NotFoundError:
            return None


def _note_type(model: Any) -> NoteType:
    fields = tuple(field["name"] for field in model["flds"])
    templates = tuple(CardTemplate(part["name"], part["qfmt"], part["afmt"]) for part in model["tmpls"])
    return NoteType(model["id"], model["name"], fields, templates, model["css"], model["type"] == 1)
