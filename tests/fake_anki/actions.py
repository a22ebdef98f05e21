"""The envelope and the actions of the add-on AnkiConnect, including their unexpected behaviour.

Everything is as measured with Anki 26.09.3 and the add-on's releases 25.11.9 and 23.10.29. Errors are raised as
exceptions of any class, because a client only gets their text, as with the add-on itself.
"""

# ruff: noqa: N802, N803 - the names of actions and of their parameters are those of the protocol.

from __future__ import annotations

import base64
import fnmatch
import hashlib
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from deckwright.providers.deck import CardTemplate, NoteType
from fake_anki.collection import (
    AnkiCollection,
    AnkiError,
    AnkiNote,
    NoteCheck,
    shown,
)
from fake_anki.memory import CSS

Json = Any
AddOnVersion = Literal["25.11.9", "23.10.29"]

# With the newer release, every fifth added card goes into the wrong deck while the browser is open. In reality it is
# 8 of 4,000, but small tests must see it too.
MISFILED = 5


@attrs.frozen
class Costs:
    """How long Anki is busy, in seconds. By default nothing takes time; `MEASURED` has the real durations.

    Attributes:
        body: A request's body of one megabyte (10^6 bytes); twice as large costs four times as much.
        note: A note that is added.
        imported: A note or media file of a package that is imported.
    """

    body: float = 0
    note: float = 0
    imported: float = 0


MEASURED = Costs(body=0.43, note=0.014, imported=0.0015)


@attrs.frozen
class ActionCall:
    """An action that a client called, alone or within `multi`."""

    action: str
    params: Mapping[str, Any]


@attrs.define
class Anki:
    """The state of a running Anki with the add-on. All of it may be set at any time.

    Attributes:
        collection: The collection of the profile.
        version: The release of the add-on.
        key: The key that clients must send; `None` for none.
        browser_open: Whether the window "Browse" is open; then the newer release puts cards into the wrong deck.
        profile: The name of the profile.
        profiles: The names of all profiles.
        profile_open: Whether the profile is loaded; without it there is no collection.
        load_takes: How many actions find no collection after `loadProfile`, which does not wait for it.
        loading: How many of these are left.
        logged_in: Whether the user is logged in to AnkiWeb.
        protocol: The version of the protocol that the action `version` returns.
        costs: How long things take.
    """

    collection: AnkiCollection
    version: AddOnVersion = "25.11.9"
    key: str | None = None
    browser_open: bool = False
    profile: str = "User 1"
    profiles: tuple[str, ...] = ("User 1",)
    profile_open: bool = True
    load_takes: int = 0
    loading: int = 0
    logged_in: bool = False
    protocol: int = 6
    costs: Costs = attrs.field(factory=Costs)

    @property
    def newer(self) -> bool:
        """Whether this is the newer of the two releases."""
        return self.version != "23.10.29"


class Envelope:
    """Turns requests into replies: keys, versions, errors and `multi`.

    Attributes:
        calls: All actions that were looked up, in order.
    """

    def __init__(self, anki: Anki, spend: Callable[[float], object]) -> None:
        """Make the envelope of a running Anki.

        Args:
            anki: Its state.
            spend: Waits for a number of seconds.
        """
        self.calls: list[ActionCall] = []
        self._anki = anki
        self._actions = AnkiConnect(anki, spend, self.reply)
        self._refusals: list[tuple[str, str]] = []

    def refuse(self, action: str, error: str, times: int = 1) -> None:
        """Make an action fail with an error, alone or within `multi`."""
        self._refusals += [(action, error)] * times

    def reply(self, request: Json) -> Json:
        """Answer one request: the whole of a body, or one action of `multi`."""
        try:
            _check(request)
            version = request.get("version", 4)
            result = self._do(request["action"], request.get("params", {}), request.get("key"))
        except Exception as error:
            return {"result": None, "error": str(error)}
        # Up to version 4 there is no envelope around a result. No version means 4.
        return result if version <= 4 else {"result": result, "error": None}

    def _do(self, action: str, params: dict[str, Any], key: str | None) -> Json:
        # Any key is wrong if none is set.
        if key != self._anki.key and action != "requestPermission":
            raise AnkiError("valid api key must be provided")
        self.calls.append(ActionCall(action, params))
        for refusal in self._refusals:
            if refusal[0] == action:
                self._refusals.remove(refusal)
                raise AnkiError(refusal[1])
        if action not in action_names(self._anki):
            raise AnkiError("unsupported action")
        return getattr(self._actions, action)(**params)


def action_names(anki: Anki) -> list[str]:
    """Return the names of the actions that there are."""
    newer_only = set() if anki.newer else {"canAddNotesWithErrorDetail"}
    return [name for name in vars(AnkiConnect) if not name.startswith("_") and name not in newer_only]


def _check(request: Json) -> None:
    kinds = (("action", str, "string"), ("version", int, "integer"), ("params", dict, "object"))
    if not isinstance(request, dict):
        raise AnkiError(f"{request!r} is not of type 'object'")
    if "action" not in request:
        raise AnkiError("'action' is a required property")
    for name, kind, label in kinds:
        if name in request and not isinstance(request[name], kind):
            raise AnkiError(f"{request[name]!r} is not of type '{label}'")


class AnkiConnect:
    """The actions: every public method is one, and its parameters are those of the protocol.

    The class has the name of the add-on, because errors about wrong parameters contain it.
    """

    def __init__(self, anki: Anki, spend: Callable[[float], object], reply: Callable[[Json], Json]) -> None:
        self._anki = anki
        self._spend = spend
        self._reply = reply
        self._added = 0

    @property
    def _collection(self) -> AnkiCollection:
        if not self._anki.profile_open:
            raise AnkiError("collection is not available")
        if self._anki.loading:
            self._anki.loading -= 1
            raise AnkiError("collection is not available")
        return self._anki.collection

    # The add-on and the profile

    def version(self) -> int:
        """Return the version of the protocol."""
        return self._anki.protocol

    def requestPermission(self) -> Json:
        """Say that a client may ask for more, and whether it needs a key."""
        # Documented as requireApiKey.
        return {
            "permission": "granted",
            "requireApikey": bool(self._anki.key),
            "version": self._anki.protocol,
        }

    def apiReflect(self, scopes: list[str], actions: list[str] | None = None) -> Json:
        """Say which actions there are: of those in question, or all."""
        if not isinstance(scopes, list):
            raise AnkiError("scopes has invalid value")
        if not (actions is None or isinstance(actions, list)):
            raise AnkiError("actions has invalid value")
        if "actions" not in scopes:
            return {"scopes": []}
        there = action_names(self._anki)
        return {"scopes": ["actions"], "actions": [name for name in there if not actions or name in actions]}

    def multi(self, actions: list[Json]) -> list[Json]:
        """Do several actions; each has a reply of its own, and needs a version and a key of its own."""
        return [self._reply(action) for action in actions]

    def getProfiles(self) -> list[str]:
        """Return the names of all profiles."""
        return list(self._anki.profiles)

    def getActiveProfile(self) -> str | None:
        """Return the name of the profile, if one is loaded."""
        return self._anki.profile if self._anki.profile_open else None

    def loadProfile(self, name: str) -> bool:
        """Begin to load a profile; it is not there yet when this returns."""
        if name not in self._anki.profiles:
            return False
        self._anki.profile, self._anki.profile_open = name, True
        self._anki.loading = self._anki.load_takes
        return True

    def sync(self) -> None:
        """Synchronise."""
        _ = self._collection
        if self._anki.newer and not self._anki.logged_in:
            raise AnkiError("sync: auth not configured")

    def guiBrowse(self, query: str | None = None, reorderCards: Json = None) -> list[int]:
        """Open the browser, and return the cards that it shows."""
        cards = self._collection.find_cards(query or "")
        self._anki.browser_open = True
        return cards

    # Decks and cards

    def deckNames(self) -> list[str]:
        """Return the names of all decks."""
        return sorted(self._collection.decks())

    def deckNamesAndIds(self) -> dict[str, int]:
        """Return the number of each deck, by name."""
        return self._collection.decks()

    def createDeck(self, deck: str) -> int:
        """Make a deck unless it is there; return its number."""
        return self._collection.add_deck(deck)

    def getDecks(self, cards: list[int]) -> dict[str, list[int]]:
        """Return the cards by the decks that they lie in."""
        collection = self._collection
        decks: dict[str, list[int]] = {}
        for number in cards:
            if card := collection.card(number):
                decks.setdefault(card.deck, []).append(number)
        return decks

    def changeDeck(self, cards: list[int], deck: str) -> None:
        """Lay cards into a deck, which is made unless it is there."""
        collection = self._collection
        collection.add_deck(deck)
        collection.move_cards(cards, collection.deck_called(deck) or deck)

    def findCards(self, query: str | None = None) -> list[int]:
        """Return the cards that a search finds."""
        return [] if query is None else self._collection.find_cards(query)

    def cardsInfo(self, cards: list[int]) -> list[Json]:
        """Return what is to be known of cards, but for their rendered sides and their schedule; `{}` for none."""
        collection = self._collection
        return [self._card_info(collection, number) for number in cards]

    def _card_info(self, collection: AnkiCollection, number: int) -> Json:
        card = collection.card(number)
        note = collection.note(card.note) if card else None
        if not card or not note:
            return {}
        return {
            "cardId": card.id,
            "note": note.id,
            "ord": card.template,
            "deckName": card.deck,
            "modelName": note.note_type,
            "fields": _fields(note),
            "fieldOrder": card.template,
            "css": collection.note_types()[note.note_type].css,
            "mod": note.modified,
        }

    # Note types

    def modelNames(self) -> list[str]:
        """Return the names of all note types."""
        return list(self._collection.note_types())

    def modelNamesAndIds(self) -> dict[str, int]:
        """Return the number of each note type, by name."""
        return {name: note_type.id for name, note_type in self._collection.note_types().items()}

    def modelFieldNames(self, modelName: str) -> list[str]:
        """Return the names of the fields of a note type, in order."""
        return list(self._note_type(modelName).fields)

    def modelTemplates(self, modelName: str) -> Json:
        """Return the sides of each card of a note type."""
        return {
            part.name: {"Front": part.front, "Back": part.back}
            for part in self._note_type(modelName).templates
        }

    def modelStyling(self, modelName: str) -> Json:
        """Return the style of a note type."""
        return {"css": self._note_type(modelName).css}

    def createModel(
        self,
        modelName: str,
        inOrderFields: list[str],
        cardTemplates: list[Json],
        css: str | None = None,
        isCloze: bool = False,
    ) -> Json:
        """Make a note type; return the whole of it."""
        collection = self._collection
        if not inOrderFields:
            raise AnkiError("Must provide at least one field for inOrderFields")
        if not cardTemplates:
            raise AnkiError("Must provide at least one card for cardTemplates")
        if modelName in collection.note_types():
            raise AnkiError("Model name already exists")
        templates = [
            CardTemplate(part.get("Name", f"Card {number}"), part["Front"], part["Back"])
            for number, part in enumerate(cardTemplates, 1)
        ]
        return _model(
            collection.add_note_type(
                modelName, inOrderFields, templates, CSS if css is None else css, is_cloze=bool(isCloze)
            )
        )

    def updateModelTemplates(self, model: Json) -> None:
        """Change sides of cards. Names of cards that there are none of, and empty sides, are passed by."""
        note_type = self._note_type(model["name"])
        templates = model["templates"]
        changed = []
        for part in note_type.templates:
            new = templates.get(part.name) or {}
            changed.append(
                CardTemplate(part.name, new.get("Front") or part.front, new.get("Back") or part.back)
            )
        self._collection.change_note_type(note_type.name, changed, note_type.css)

    def updateModelStyling(self, model: Json) -> None:
        """Change the style of a note type."""
        note_type = self._note_type(model["name"])
        self._collection.change_note_type(note_type.name, note_type.templates, model["css"])

    def _note_type(self, name: str) -> NoteType:
        note_type = self._collection.note_types().get(name)
        if not note_type:
            raise AnkiError(f"model was not found: {name}")
        return note_type

    # Notes

    def canAddNotes(self, notes: list[Json]) -> list[bool]:
        """Say of each note whether it could be added; of several that are the same, each could."""
        return [answer["canAdd"] for answer in self.canAddNotesWithErrorDetail(notes)]

    def canAddNotesWithErrorDetail(self, notes: list[Json]) -> list[Json]:
        """Say of each note whether it could be added, and why not. The older release does not have this."""
        return [self._can_add(note) for note in notes]

    def _can_add(self, note: Json) -> Json:
        try:
            self._draft(note)
        except Exception as error:
            return {"canAdd": False, "error": str(error)}
        return {"canAdd": True}

    def addNote(self, note: Json) -> int:
        """Add a note; return its number."""
        draft = self._draft(note)
        for kind, form in (("audio", "[sound:{}]"), ("video", "[sound:{}]"), ("picture", '<img src="{}">')):
            entries = note.get(kind) or []
            for entry in entries if isinstance(entries, list) else [entries]:
                self._attach(draft, entry, form)
        deck = self._deck_of_next_note(draft.deck)
        self._spend(self._anki.costs.note)
        return self._collection.add_note(draft.note_type.name, draft.fields, draft.tags, deck)

    def addNotes(self, notes: list[Json]) -> list[int | None]:
        """Add notes. With one that cannot be added, the newer release adds none; the older, all others."""
        added: list[int | None] = []
        errors: list[str] = []
        for note in notes:
            try:
                added.append(self.addNote(note))
            except Exception as error:
                added.append(None)
                errors.append(str(error))
        if errors and self._anki.newer:
            self._collection.remove_notes([number for number in added if number is not None])
            raise AnkiError(str(errors))
        return added

    def _draft(self, note: Json) -> _Draft:
        """Make a note, and refuse one that is empty or a duplicate."""
        note_type = self._note_type(note["modelName"])
        deck = self._collection.deck_called(note["deckName"])
        if deck is None:
            raise AnkiError(f"deck was not found: {note['deckName']}")
        fields = dict.fromkeys(note_type.fields, "")
        by_lower_case = {field.lower(): field for field in fields}
        for name, value in note["fields"].items():
            # Case makes no difference, and a name that no field has is passed by, without a word.
            if field := by_lower_case.get(name.lower()):
                fields[field] = value
        draft = _Draft(note_type, deck, fields, note.get("tags") or [])
        options = _Options.of(note.get("options") or {}, note["deckName"])
        check = self._checked(draft, options)
        if check == NoteCheck.EMPTY:
            raise AnkiError("cannot create note because it is empty")
        if check == NoteCheck.DUPLICATE and not options.allow_duplicate:
            raise AnkiError("cannot create note because it is a duplicate")
        if check not in (NoteCheck.GOOD, NoteCheck.DUPLICATE):
            raise AnkiError("cannot create note for unknown reason")
        return draft

    def _checked(self, draft: _Draft, options: _Options) -> NoteCheck:
        collection = self._collection
        if options.deck is None and not options.all_models:
            return collection.check_note(draft.note_type.name, draft.fields)
        first = next(iter(draft.fields.values()))
        if not shown(first).strip():
            return NoteCheck.EMPTY
        note_type = None if options.all_models else draft.note_type.name
        others = (collection.note(number) for number in collection.same_first_field(first, note_type))
        counted = any(options.counts(deck) for other in others if other for deck in other.decks)
        return NoteCheck.DUPLICATE if counted else NoteCheck.GOOD

    def _deck_of_next_note(self, deck: str) -> str:
        self._added += 1
        if not self._anki.newer or (self._anki.browser_open and self._added % MISFILED == 0):
            return "Default"
        return deck

    def _attach(self, draft: _Draft, entry: Json, form: str) -> None:
        """Put a media file into fields; of one that fails, the error, as if that were what to learn."""
        if not entry.get("fields"):
            return
        try:
            parts = {key: entry.get(key) for key in ("data", "path", "url", "skipHash")}
            name = self.storeMediaFile(
                entry["filename"], **parts, deleteExisting=entry.get("deleteExisting", True)
            )
            text = "" if name is None else form.format(name)
        except Exception as error:
            text = html.escape(str(error), quote=False)
        for field in entry["fields"]:
            draft.fields[field] += text

    def updateNoteFields(self, note: Json) -> None:
        """Change fields of a note. Here case matters; a name that no field has is passed by."""
        there = self._note(note["id"])
        changed = {name: value for name, value in note["fields"].items() if name in there.fields}
        self._collection.change_note(there.id, {**there.fields, **changed}, there.tags)

    def updateNote(self, note: Json) -> None:
        """Change fields or tags of a note, or both."""
        if "fields" not in note and "tags" not in note:
            raise AnkiError('Must provide a "fields" or "tags" property.')
        if note.get("fields"):
            self.updateNoteFields(note)
        if "tags" in note:
            self.updateNoteTags(note["id"], note["tags"])

    def updateNoteTags(self, note: int, tags: str | list[str]) -> None:
        """Give a note other tags in place of those that it has."""
        tags = [tags] if isinstance(tags, str) else tags
        if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            raise AnkiError("Must provide tags as a list of strings")
        there = self._note(note)
        self._collection.change_note(note, there.fields, tags)

    def addTags(self, notes: list[int], tags: str) -> None:
        """Give notes further tags, with spaces between them."""
        for note in self._notes(notes):
            self._collection.change_note(note.id, note.fields, [*note.tags, *tags.split()])

    def removeTags(self, notes: list[int], tags: str) -> None:
        """Take tags from notes."""
        for note in self._notes(notes):
            remaining = [tag for tag in note.tags if tag not in tags.split()]
            self._collection.change_note(note.id, note.fields, remaining)

    def deleteNotes(self, notes: list[int]) -> None:
        """Remove notes with their cards."""
        self._collection.remove_notes([note.id for note in self._notes(notes)])

    def findNotes(self, query: str | None = None) -> list[int]:
        """Return the notes that a search finds."""
        return [] if query is None else self._collection.find_notes(query)

    def notesInfo(self, notes: list[int]) -> list[Json]:
        """Return what is to be known of notes; `{}` for those that there are none of."""
        collection = self._collection
        return [
            {
                "noteId": note.id,
                "modelName": note.note_type,
                "tags": list(note.tags),
                "fields": _fields(note),
                "mod": note.modified,
                "cards": [card.id for card in note.cards],
            }
            if (note := collection.note(number))
            else {}
            for number in notes
        ]

    def _note(self, number: int) -> AnkiNote:
        note = self._collection.note(number)
        if not note:
            raise AnkiError(f"Note was not found: {number}")
        return note

    def _notes(self, numbers: Iterable[int]) -> list[AnkiNote]:
        return [note for number in numbers if (note := self._collection.note(number))]

    # Media and packages

    def storeMediaFile(
        self,
        filename: str,
        data: str | None = None,
        path: str | None = None,
        url: str | None = None,
        skipHash: str | None = None,
        deleteExisting: bool = True,
    ) -> str | None:
        """Keep a media file; return its name, which may be another, or `None` where `skipHash` says to skip it."""
        collection = self._collection
        if data:
            # What is no base64 at all is passed by, without a word.
            content = base64.b64decode(data)
        elif path:
            content = Path(path).read_bytes()
        elif url:
            raise AnkiError("<urlopen error the test server fetches nothing>")
        else:
            raise AnkiError('You must provide a "data", "path", or "url" field.')
        if skipHash is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() == skipHash:
            return None
        if deleteExisting:
            # Of exactly the name that is given: not of the name that Anki makes of it.
            collection.trash_media(filename)
        return collection.store_media(filename, content)

    def retrieveMediaFile(self, filename: str) -> str | Literal[False]:
        """Return a media file as base64."""
        name = re.sub(r'[<>:"|?*]', "", unicodedata.normalize("NFC", Path(filename).name))
        file = self._collection.media_folder / name
        return base64.b64encode(file.read_bytes()).decode() if file.is_file() else False

    def getMediaFilesNames(self, pattern: str = "*") -> list[str]:
        """Return the names of the media files that a pattern fits."""
        names = [file.name for file in self._collection.media_folder.iterdir()]
        return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))

    def getMediaDirPath(self) -> str:
        """Return the folder of the media files."""
        return str(self._collection.media_folder)

    def deleteMediaFile(self, filename: str) -> None:
        """Remove a media file."""
        self._collection.trash_media(filename)

    def importPackage(self, path: str) -> bool:
        """Import a package; a path that is not absolute begins in the folder of the media files."""
        collection = self._collection
        self._spend(self._anki.costs.imported * collection.import_package(collection.media_folder / path))
        return True

    def exportPackage(self, deck: str, path: str, includeSched: bool = False) -> bool:
        """Write a deck to a package; of a deck that there is none of, say so."""
        collection = self._collection
        there = collection.deck_called(deck)
        if there is not None:
            collection.export_package(there, collection.media_folder / path)
        return there is not None


@attrs.frozen
class _Draft:
    """A note that is not added yet."""

    note_type: NoteType
    deck: str
    fields: dict[str, str]
    tags: list[str]


@attrs.frozen
class _Options:
    """What counts as a duplicate: by default, the same first field in the same note type.

    Attributes:
        allow_duplicate: Whether one may be added.
        deck: The deck in which alone there are duplicates; `None` for the whole collection.
        children: Whether the decks within that deck count.
        all_models: Whether notes of all note types count.
    """

    allow_duplicate: bool
    deck: str | None
    children: bool
    all_models: bool

    @classmethod
    def of(cls, options: Json, deck: str) -> _Options:
        scope = options.get("duplicateScopeOptions") or {}
        allow, children = options.get("allowDuplicate", False), scope.get("checkChildren", False)
        all_models = scope.get("checkAllModels", False)
        for name, value in (
            ("allowDuplicate", allow),
            ("duplicateScopeOptions.checkChildren", children),
            ("duplicateScopeOptions.checkAllModels", all_models),
        ):
            if not isinstance(value, bool):
                raise AnkiError(f'option parameter "{name}" must be boolean')
        within = (scope.get("deckName") or deck) if options.get("duplicateScope") == "deck" else None
        return cls(allow, within, children, all_models)

    def counts(self, deck: str) -> bool:
        """Say whether a note with a card in this deck can be a duplicate."""
        if self.deck is None:
            return True
        deck, within = deck.casefold(), self.deck.casefold()
        return deck == within or (self.children and deck.startswith(f"{within}::"))


def _fields(note: AnkiNote) -> Json:
    return {name: {"value": value, "order": order} for order, (name, value) in enumerate(note.fields.items())}


def _model(note_type: NoteType) -> Json:
    return {
        "id": note_type.id,
        "name": note_type.name,
        "type": int(note_type.is_cloze),
        "css": note_type.css,
        "flds": [{"name": name, "ord": place} for place, name in enumerate(note_type.fields)],
        "tmpls": [
            {"name": part.name, "ord": place, "qfmt": part.front, "afmt": part.back}
            for place, part in enumerate(note_type.templates)
        ],
    }
