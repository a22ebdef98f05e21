"""One deck on its way into Anki: note type, media and notes, each compared with what is there already."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import attrs

from deckwright import (
    Deck,
    InvalidRequestError,
    MissingDependencyError,
    Note,
    ProviderError,
    TransientError,
)
from deckwright.packages import write_package
from deckwright_builtins.anki.connection import AnkiConnect, AnkiError, Call
from deckwright_builtins.anki.notes import Existing, Matched, match

T = TypeVar("T")

# Each note that is added takes Anki about 14 ms, however many there are in one request.
_NOTES_AT_ONCE = 100
_ASKED_AT_ONCE = 500
_DETAILED_CHECK = "canAddNotesWithErrorDetail"
_IMPORT = "importPackage"


@attrs.define
class Outcome:
    """What came of handing a deck over.

    Attributes:
        deck: The deck that the notes are in.
        added: Anki's numbers of the notes that are new.
        updated: How many were changed to what the deck says.
        unchanged: How many were so already.
        outdated: How many differ, and were left as they are.
        moved: How many cards lay in another deck than asked for, and were moved.
        media: How many files were stored one by one; a package brings its own.
        cards: How many cards the notes have now.
        refused: What Anki did not take, and why.
    """

    deck: str
    added: list[int] = attrs.field(factory=list)
    updated: int = 0
    unchanged: int = 0
    outdated: int = 0
    moved: int = 0
    media: int = 0
    cards: int = 0
    refused: list[str] = attrs.field(factory=list)

    @property
    def told(self) -> str:
        """All of it in words."""
        parts = [
            f"{len(self.added)} notes added",
            f"{self.updated} updated",
            f"{self.unchanged} as they were",
        ]
        if self.outdated:
            parts.append(f"{self.outdated} differ and were left so; update_existing = true changes them")
        return ", ".join(parts)


class Handover:
    """Hands one deck over.

    Args:
        anki: The Anki that takes it.
        deck: The deck, by the names that it and its note type are to have there.
        update_existing: Whether notes that are there are changed to what the deck says.
        update_templates: Whether the note type's cards and style are.
    """

    def __init__(
        self, anki: AnkiConnect, deck: Deck, *, update_existing: bool, update_templates: bool
    ) -> None:
        self._anki = anki
        self._deck = deck
        self._note_type = deck.note_type
        self._first = deck.note_type.fields[0]
        self._update_existing = update_existing
        self._update_templates = update_templates
        self._query = f'deck:"{quoted(deck.name)}" note:"{quoted(deck.note_type.name)}"'
        # The name in Anki of each media file that it keeps under another one.
        self._renamed: dict[str, str] = {}
        self._refused: set[str] = set()
        self.outcome = Outcome(deck.name)

    def run(self) -> Outcome:
        """Do all of it; to do it again changes nothing.

        Raises:
            ProviderError: Anki cannot be reached, or does not take the deck. What was done is done.
        """
        supported = self._anki.supported([_DETAILED_CHECK, _IMPORT])
        self._anki.call("createDeck", deck=self._deck.name)
        own_id = self._anki.call("modelNamesAndIds").get(self._note_type.name)
        if own_id is not None:
            self._check_note_type()
        # Files that are not named by their content may get other names, which the notes then go by.
        self._store_media([file for file in self._deck.media if not _is_named_by_content(file)])
        existing = self._existing()
        matched = match(self._deck.notes, existing, self._first)
        if matched.new:
            before = set(self._ids(f'note:"{quoted(self._note_type.name)}"'))
            may_import = own_id in (None, self._note_type.id) and _IMPORT in supported
            if not (may_import and self._import(matched.new)):
                if own_id is None:
                    self._make_note_type()
                self._store_media(_media_of(matched.new, self._deck.media))
                self._add(matched, detailed=_DETAILED_CHECK in supported)
            self._find_added(matched.new, before)
        self._lay_into_deck([*self.outcome.added, *(there.id for _, there in matched.there)])
        self._update(matched)
        self.outcome.cards = len(self._anki.call("findCards", query=self._query))
        return self.outcome

    # The note type

    def _check_note_type(self) -> None:
        """Make sure that a note type which is there has our fields, and bring its cards and style up to date."""
        name = self._note_type.name
        fields = self._anki.call("modelFieldNames", modelName=name)
        # A field that Anki does not know is dropped there without a word.
        if missing := [field for field in self._note_type.fields if field not in fields]:
            raise InvalidRequestError(
                f"Anki's note type {name!r} has no field {', '.join(map(repr, missing))}.",
                hint="Add it in Anki, or set note_type to the name of one with these fields, or of none.",
            )
        if not self._update_templates:
            return
        wanted = {card.name: {"Front": card.front, "Back": card.back} for card in self._note_type.templates}
        templates = self._anki.call("modelTemplates", modelName=name)
        known = {card: sides for card, sides in wanted.items() if card in templates}
        if any(templates[card] != sides for card, sides in known.items()):
            self._anki.call("updateModelTemplates", model={"name": name, "templates": known})
        if self._anki.call("modelStyling", modelName=name).get("css") != self._note_type.css:
            self._anki.call("updateModelStyling", model={"name": name, "css": self._note_type.css})

    def _make_note_type(self) -> None:
        cards = [
            {"Name": card.name, "Front": card.front, "Back": card.back} for card in self._note_type.templates
        ]
        self._anki.call(
            "createModel",
            repeatable=False,
            modelName=self._note_type.name,
            inOrderFields=list(self._note_type.fields),
            cardTemplates=cards,
            css=self._note_type.css,
            isCloze=False,
        )

    # New notes, as a package

    def _import(self, notes: Sequence[Note]) -> bool:
        """Have Anki import new notes, with their media, as a package; say whether it could."""
        if not Path(self._anki.call("getMediaDirPath")).is_dir():
            return False  # Anki is on another machine
        with tempfile.TemporaryDirectory(prefix="deckwright-") as folder:
            package = Path(folder, "deck.apkg")
            deck = attrs.evolve(self._deck, notes=tuple(notes), media=())
            try:
                write_package(package, [deck], _media_of(notes, self._deck.media))
                self._anki.call(_IMPORT, path=str(package))
            except (AnkiError, MissingDependencyError):
                return False  # it may be kept from seeing this machine's files
        return True

    # New notes, one by one

    def _add(self, matched: Matched, *, detailed: bool) -> None:
        # In one request, a note that Anki refuses may take all others with it: so it is asked beforehand.
        for notes in _parts(matched.new, _NOTES_AT_ONCE):
            asked = [self._as_asked(note, note.guid in matched.alike) for note in notes]
            verdicts = self._anki.call(_DETAILED_CHECK if detailed else "canAddNotes", notes=asked)
            addable = []
            for note, request, verdict in zip(notes, asked, verdicts, strict=True):
                if verdict is True or (isinstance(verdict, dict) and verdict.get("canAdd")):
                    addable.append((note, request))
                else:
                    self._refuse(note, verdict.get("error") if isinstance(verdict, dict) else None)
            self._add_together(addable)

    def _add_together(self, notes: Sequence[tuple[Note, dict[str, Any]]]) -> None:
        """Add notes that Anki has said it would take; where it does not after all, find out which."""
        if not notes:
            return
        try:
            ids = self._anki.call("addNotes", repeatable=False, notes=[request for _, request in notes])
        except AnkiError:
            ids = [None] * len(notes)  # this release takes all or none
        except TransientError as error:
            if not error.reply_lost:
                raise
            # They may be there by now, and are not to be added twice.
            left = {
                note.guid for note in match([note for note, _ in notes], self._existing(), self._first).new
            }
            self._add_singly([(note, request) for note, request in notes if note.guid in left])
            return
        if not isinstance(ids, list) or len(ids) != len(notes):
            raise ProviderError("Anki does not say which notes it has added.")
        self._add_singly([pair for pair, id in zip(notes, ids, strict=True) if id is None])

    def _add_singly(self, notes: Iterable[tuple[Note, dict[str, Any]]]) -> None:
        for note, request in notes:
            try:
                self._anki.call("addNote", repeatable=False, note=request)
            except AnkiError as error:
                self._refuse(note, error.said)

    def _as_asked(self, note: Note, is_alike: bool) -> dict[str, Any]:
        """Return a note as `addNotes` takes it."""
        scope = {"deckName": self._deck.name, "checkChildren": False, "checkAllModels": False}
        return {
            "deckName": self._deck.name,
            "modelName": self._note_type.name,
            "fields": self._fields(note),
            "tags": list(note.tags),
            # Of words that are written alike, Anki would take the second for a mistake.
            "options": {
                "allowDuplicate": is_alike,
                "duplicateScope": "deck",
                "duplicateScopeOptions": scope,
            },
        }

    def _refuse(self, note: Note, why: str | None) -> None:
        self._refused.add(note.guid)
        self.outcome.refused.append(f"{note.fields.get(self._first, '')}: {why or 'Anki does not take it'}")

    def _find_added(self, notes: Sequence[Note], before: set[int]) -> None:
        """Find the new notes, wherever Anki has put them."""
        ids = [id for id in self._ids(f'note:"{quoted(self._note_type.name)}"') if id not in before]
        found = match(notes, list(self._infos(ids)), self._first)
        self.outcome.added = sorted(there.id for _, there in found.there)
        for note in found.new:
            if note.guid not in self._refused:
                self._refuse(
                    note, "Anki took it, and it is not in this deck; perhaps it was moved to another"
                )

    def _lay_into_deck(self, ids: Sequence[int]) -> None:
        """Move cards into the deck which Anki has put elsewhere: some releases do so, and say nothing."""
        for some in _parts(ids, _ASKED_AT_ONCE):
            cards = self._anki.call("findCards", query=f"nid:{','.join(map(str, some))}")
            decks = self._anki.call("getDecks", cards=cards)
            astray = [card for deck, its in decks.items() if not self._is_within(deck) for card in its]
            if astray:
                self._anki.call("changeDeck", cards=astray, deck=self._deck.name)
                self.outcome.moved += len(astray)

    def _is_within(self, deck: str) -> bool:
        own = self._deck.name.casefold()
        return deck.casefold() == own or deck.casefold().startswith(f"{own}::")

    # Notes that are there

    def _existing(self) -> list[Existing]:
        """Return the notes of the deck; and those that ended up in Anki's default deck, which is where strays go."""
        strays = f'deck:"Default" note:"{quoted(self._note_type.name)}"'
        return list(self._infos(dict.fromkeys([*self._ids(self._query), *self._ids(strays)])))

    def _ids(self, query: str) -> list[int]:
        return list(self._anki.call("findNotes", query=query))

    def _infos(self, ids: Iterable[int]) -> Iterator[Existing]:
        for some in _parts(ids, _ASKED_AT_ONCE):
            for info in self._anki.call("notesInfo", notes=list(some)):
                if info:  # of a note that was deleted meanwhile, nothing is told
                    yield Existing.from_info(info)

    def _update(self, matched: Matched) -> None:
        changed = [pair for pair in matched.there if self._changes(*pair)]
        self.outcome.unchanged = len(matched.there) - len(changed)
        if not self._update_existing:
            self.outcome.outdated = len(changed)
            return
        self._store_media(_media_of([note for note, _ in changed], self._deck.media))
        calls: list[Call] = []
        for note, there in changed:
            update = {"id": there.id, "fields": self._fields(note)}
            calls.append(("updateNoteFields", {"note": update}))
            if tags := set(note.tags) - there.tags:
                calls.append(("addTags", {"notes": [there.id], "tags": " ".join(sorted(tags))}))
        failures = {error.said for error in self._anki.calls(calls) if isinstance(error, AnkiError)}
        now = {there.id: there for there in self._infos([there.id for _, there in changed])}
        for note, there in changed:
            # A note that is open in Anki's browser is not changed, and nothing is said of it.
            if there.id in now and not self._changes(note, now[there.id]):
                self.outcome.updated += 1
            else:
                self._refuse(note, "; ".join(sorted(failures)) or "it is open in Anki and was not updated")

    def _changes(self, note: Note, there: Existing) -> bool:
        return bool(
            there.changes(attrs.evolve(note, fields=self._fields(note)))
        ) or not there.tags.issuperset(note.tags)

    # Media

    def _store_media(self, files: Sequence[Path]) -> None:
        """Store media files, but for those that are there; remember the names that they get."""
        if not files:
            return
        there = set(self._anki.call("getMediaFilesNames", pattern="*"))
        left = [file for file in files if not (file.name in there and _is_named_by_content(file))]
        # By its path is fastest, where Anki can see the file.
        for as_call in (_by_path, _as_data) if self._sees_files() else (_as_data,):
            answers = self._anki.calls([as_call(file) for file in left])
            stored = {
                file.name: answer
                for file, answer in zip(left, answers, strict=True)
                if isinstance(answer, str)
            }
            self.outcome.media += len(stored)
            self._renamed |= {name: kept for name, kept in stored.items() if name != kept}
            refused = [answer for answer in answers if not isinstance(answer, str)]
            left = [file for file in left if file.name not in stored]
        if left:
            said = refused[0].said if isinstance(refused[0], AnkiError) else "it gives no name"
            raise ProviderError(f"Anki does not store the media file {left[0].name!r} ({said}).")

    def _sees_files(self) -> bool:
        return Path(self._anki.call("getMediaDirPath")).is_dir()

    def _fields(self, note: Note) -> dict[str, str]:
        """Return a note's fields, with its media by the names that Anki gave them."""
        if not self._renamed:
            return note.fields
        names = re.compile("|".join(map(re.escape, sorted(self._renamed, key=len, reverse=True))))
        return {
            field: names.sub(lambda found: self._renamed[found[0]], value)
            for field, value in note.fields.items()
        }


def _by_path(file: Path) -> Call:
    return "storeMediaFile", {"filename": file.name, "path": str(file.absolute()), "deleteExisting": False}


def _as_data(file: Path) -> Call:
    data = base64.b64encode(file.read_bytes()).decode()
    return "storeMediaFile", {"filename": file.name, "data": data, "deleteExisting": False}


def _media_of(notes: Iterable[Note], media: Iterable[Path]) -> list[Path]:
    """Return those files that notes refer to."""
    text = "\n".join(value for note in notes for value in note.fields.values())
    return [file for file in media if file.name in text]


def _is_named_by_content(file: Path) -> bool:
    """Say whether the name holds the file's own hash, as those of a build do: then another is no other file."""
    digest = re.search(r"[0-9a-f]{20,64}", file.stem)
    return bool(digest) and hashlib.sha256(file.read_bytes()).hexdigest().startswith(
        digest[0] if digest else "-"
    )


def _parts(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def quoted(text: str) -> str:
    """Return text as it stands between quotes in a search, where some characters would mean something else."""
    return re.sub(r'([\\"*_])', r"\\\1", text)
