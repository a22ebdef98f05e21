"""The note type of a deck in Anki: its name, its fields, its cards and its style."""

from __future__ import annotations

import attrs

from deckwright import CardTemplate, InvalidRequestError, NoteType
from deckwright_builtins.anki.connection import AnkiConnect
from deckwright_builtins.anki.notes import normalize


@attrs.frozen
class AnkiNoteType:
    """A note type as it is, or will be, in Anki.

    Its notes can be imported as a package, unless the one in Anki is not ours or has other cards: then Anki would make
    a second one.
    """

    note_type: NoteType
    exists: bool = False
    can_import: bool = True


def prepare_note_type(anki: AnkiConnect, note_type: NoteType, *, update: bool) -> AnkiNoteType:
    """Find a note type in Anki and check its fields; if `update`, update its cards and style.

    Raises:
        InvalidRequestError: It does not have our fields.
    """
    ids = anki.call("modelNamesAndIds")
    name = normalize(note_type.name.replace('"', ""))  # as Anki would write it
    if name not in ids:  # the user may have renamed it
        name = next((other for other, id in ids.items() if id == note_type.id), name)
    note_type = attrs.evolve(note_type, name=name)
    if name not in ids:
        return AnkiNoteType(note_type)
    fields = anki.call("modelFieldNames", modelName=name)
    # Anki silently drops the content of fields that it does not know.
    if missing := [field for field in note_type.fields if field not in fields]:
        raise InvalidRequestError(
            f"Anki's note type {name!r} has no field {', '.join(map(repr, missing))}.",
            hint="Add it in Anki, or set note_type to another name.",
        )
    wanted = {card.name: {"Front": card.front, "Back": card.back} for card in note_type.templates}
    existing = anki.call("modelTemplates", modelName=name)
    css = anki.call("modelStyling", modelName=name)["css"]
    if update:
        common = {card: sides for card, sides in wanted.items() if card in existing}
        if any(existing[card] != sides for card, sides in common.items()):
            anki.call("updateModelTemplates", model={"name": name, "templates": common})
        if css != note_type.css:
            anki.call("updateModelStyling", model={"name": name, "css": note_type.css})
    else:
        # A package must not change the cards and style, either.
        cards = [CardTemplate(card, sides["Front"], sides["Back"]) for card, sides in existing.items()]
        note_type = attrs.evolve(note_type, templates=tuple(cards), css=css)
    is_same = list(fields) == list(note_type.fields) and list(existing) == list(wanted)
    return AnkiNoteType(note_type, exists=True, can_import=is_same and ids[name] == note_type.id)


def create_note_type(anki: AnkiConnect, note_type: NoteType) -> None:
    """Create a note type in Anki."""
    anki.call(
        "createModel",
        repeatable=False,
        modelName=note_type.name,
        inOrderFields=list(note_type.fields),
        cardTemplates=[
            {"Name": card.name, "Front": card.front, "Back": card.back} for card in note_type.templates
        ],
        css=note_type.css,
        isCloze=note_type.is_cloze,
    )
