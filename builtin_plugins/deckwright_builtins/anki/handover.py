"""One deck on its way into Anki: note type, media and notes, each compared with what is there already."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import attrs

from deckwright import (
    CardTemplate,
    Deck,
    InvalidRequestError,
    MissingDependencyError,
    Note,
    ProviderError,
    TransientError,
)
from deckwright.anki.package import write_package
from deckwright_builtins.anki.connection import AnkiConnect, AnkiError, Call
from deckwright_builtins.anki.media import MediaStore, is_named_by_content, media_of
from deckwright_builtins.anki.notes import Existing, Matched, as_kept, composed, match

T = TypeVar("T")

# Each note that is added takes Anki about 14 ms, however many there are in one request.
_NOTES_AT_ONCE = 250
_ASKED_AT_ONCE = 500
_PAUSE = 1.0  # seconds from one look for an import to the next
_DETAILED_CHECK = "canAddNotesWithErrorDetail"
_IMPORT = "importPackage"
_DEFAULT_DECK = 1  # its number; its name depends on Anki's language
# Words that in a search for a deck mean something else, as long as they are written like this.
_NOT_NAMES = ("current", "filtered")


@attrs.define
class Outcome:
    """What came of handing a deck over.

    Attributes:
        deck: The deck that the notes are in.
        added: Anki's numbers of the notes that are new.
        updated: How many were changed to what the deck says.
        unchanged: How many were so already.
        outdated: How many differ, and were left as they are.
        stuck: How many were to be changed, and Anki did not.
        moved: How many cards lay in another deck than asked for, and were moved.
        media: How many files were stored one by one; a package brings its own.
        cards: How many cards the notes have now.
        refused: What Anki did not take, and why: notes, and changes of notes.
    """

    deck: str
    added: list[int] = attrs.field(factory=list)
    updated: int = 0
    unchanged: int = 0
    outdated: int = 0
    stuck: int = 0
    moved: int = 0
    media: int = 0
    cards: int = 0
    refused: list[str] = attrs.field(factory=list)

    @property
    def there(self) -> int:
        """How many notes are in Anki now."""
        return len(self.added) + self.updated + self.unchanged + self.outdated + self.stuck

    @property
    def told(self) -> str:
        """All of it in words."""
        parts = [
            f"{len(self.added)} {'note' if len(self.added) == 1 else 'notes'} added",
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
        timeout: For how many seconds an import is looked for that Anki has said nothing of.
        wait: Waits for so many seconds, and says whether to go on.
    """

    def __init__(
        self,
        anki: AnkiConnect,
        deck: Deck,
        *,
        update_existing: bool,
        update_templates: bool,
        timeout: float,
        wait: Callable[[float], bool],
    ) -> None:
        self._anki = anki
        self._deck = deck
        # So Anki would write its name.
        name = composed(deck.note_type.name.replace('"', ""))
        self._note_type = attrs.evolve(deck.note_type, name=name)
        self._first = deck.note_type.fields[0]
        self._update_existing = update_existing
        self._update_templates = update_templates
        self._timeout = timeout
        self._wait = wait
        self._default_deck = "Default"
        self._strays: set[int] = set()
        self._media = MediaStore(anki)
        self._refused: set[str] = set()
        self.outcome = Outcome(deck.name)

    def run(self) -> Outcome:
        """Do all of it; to do it again changes nothing.

        Raises:
            ProviderError: Anki cannot be reached, or does not take the deck. What was done is done.
        """
        self._deck = attrs.evolve(self._deck, notes=self._checked_notes())
        supported = self._anki.supported([_DETAILED_CHECK, _IMPORT])
        known = self._anki.call("modelNamesAndIds")
        if self._note_type.name not in known:
            # Our note type may have been given another name in Anki.
            names = [name for name, number in known.items() if number == self._note_type.id]
            self._note_type = attrs.evolve(self._note_type, name=(*names, self._note_type.name)[0])
        own_id = known.get(self._note_type.name)
        fits = own_id is None or (self._check_note_type() and own_id == self._note_type.id)
        self._find_deck()
        # Files that are not named by their content may get other names, which the notes then go by.
        media = media_of(self._deck.notes, self._deck.media)
        self._media.store(file for file in media if not is_named_by_content(file))
        matched = match(self._deck.notes, self._existing(), self._first)
        if matched.new:
            before = set(self._ids(self._of_note_type))
            if not (fits and _IMPORT in supported and self._import(matched.new, before)):
                if own_id is None:
                    self._make_note_type()
                self._media.store(media_of(matched.new, self._deck.media))
                self._add(matched, detailed=_DETAILED_CHECK in supported)
            self._find_added(matched.new, before)
        found = {there.id for _, there in matched.there}
        self._lay_into_deck([*self.outcome.added, *sorted(found & self._strays)])
        self._update(matched)
        self.outcome.media = self._media.stored
        self.outcome.cards = len(self._anki.call("findCards", query=self._query))
        return self.outcome

    def _checked_notes(self) -> tuple[Note, ...]:
        """Return the notes that Anki would take, as it would keep them, having looked for what it cannot.

        Raises:
            ProviderError: A media file is not there, or a note has a field that its note type does not.
        """
        notes = []
        for note in map(as_kept, self._deck.notes):
            # Anki drops such a field without a word.
            if unknown := [name for name in note.fields if name not in self._note_type.fields]:
                raise InvalidRequestError(
                    f"The note type {self._note_type.name!r} has no field {unknown[0]!r}."
                )
            if note.fields.get(self._first):
                notes.append(note)
            else:
                self._refuse(note, f"its field {self._first!r} is empty")
        for file in media_of(notes, self._deck.media):
            if not file.is_file():
                raise ProviderError(f"The media file {file} does not exist.")
        return tuple(notes)

    def _find_deck(self) -> None:
        """Make the deck unless it is there, and go on with the name that Anki has made of its name."""
        decks = self._anki.call("deckNamesAndIds")
        if self._deck.name not in decks:
            number = self._anki.call("createDeck", deck=self._deck.name)
            decks = self._anki.call("deckNamesAndIds")
            names = [name for name, its in decks.items() if its == number]
            self._deck = attrs.evolve(self._deck, name=(*names, self._deck.name)[0])
            self.outcome.deck = self._deck.name
        defaults = [name for name, number in decks.items() if number == _DEFAULT_DECK]
        self._default_deck = (*defaults, self._default_deck)[0]

    @property
    def _of_note_type(self) -> str:
        return f'note:"{quoted(self._note_type.name)}"'

    @property
    def _query(self) -> str:
        return f"{_in_deck(self._deck.name)} {self._of_note_type}"

    # The note type

    def _check_note_type(self) -> bool:
        """Make sure that a note type which is there has our fields, and bring its cards and style up to date.

        Returns:
            Whether it is of our form: of another, an import would make a second one.
        """
        name = self._note_type.name
        fields = self._anki.call("modelFieldNames", modelName=name)
        # A field that Anki does not know is dropped there without a word.
        if missing := [field for field in self._note_type.fields if field not in fields]:
            raise InvalidRequestError(
                f"Anki's note type {name!r} has no field {', '.join(map(repr, missing))}.",
                hint="Add it in Anki, or set note_type to the name of one with these fields, or of none.",
            )
        wanted = {card.name: {"Front": card.front, "Back": card.back} for card in self._note_type.templates}
        templates = self._anki.call("modelTemplates", modelName=name)
        css = self._anki.call("modelStyling", modelName=name)["css"]
        if self._update_templates:
            known = {card: sides for card, sides in wanted.items() if card in templates}
            if any(templates[card] != sides for card, sides in known.items()):
                self._anki.call("updateModelTemplates", model={"name": name, "templates": known})
            if css != self._note_type.css:
                self._anki.call("updateModelStyling", model={"name": name, "css": self._note_type.css})
        else:
            # A package, too, is to bring what is there, and nothing else.
            cards = [CardTemplate(card, sides["Front"], sides["Back"]) for card, sides in templates.items()]
            self._note_type = attrs.evolve(self._note_type, templates=tuple(cards), css=css)
        return list(fields) == list(self._note_type.fields) and list(templates) == list(wanted)

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

    def _import(self, notes: Sequence[Note], before: set[int]) -> bool:
        """Have Anki import new notes, with their media, as a package; say whether it could."""
        if not self._media.folder:
            return False
        # What Anki still reads cannot be removed on Windows.
        with tempfile.TemporaryDirectory(prefix="deckwright-", ignore_cleanup_errors=True) as folder:
            package = Path(folder, "deck.apkg")
            kept = tuple(attrs.evolve(note, fields=self._media.fields(note)) for note in notes)
            deck = attrs.evolve(self._deck, note_type=self._note_type, notes=kept, media=())
            media = [file for file in media_of(notes, self._deck.media) if is_named_by_content(file)]
            try:
                write_package(package, [deck], media)
                self._anki.call(_IMPORT, repeatable=False, path=str(package))
            except (AnkiError, MissingDependencyError):
                return False  # it may be kept from seeing this machine's files
            except TransientError as error:
                if not error.reply_lost:
                    raise
                # It may go on for long, and needs its file for that.
                self._wait_for_import(notes, before, error)
        return True

    def _wait_for_import(self, notes: Sequence[Note], before: set[int], lost: TransientError) -> None:
        """Look for notes whose import Anki has said nothing of, until they are there or the time-out has passed.

        Raises:
            TransientError: The provider was closed meanwhile; it is `lost`.
        """
        until = time.monotonic() + self._timeout
        while True:
            with suppress(TransientError):  # Anki may be too busy to answer
                if not self._added(notes, before).new:
                    return
            if time.monotonic() >= until:
                return
            if not self._wait(_PAUSE):
                raise lost

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
            left = {note.guid for note in match(self._deck.notes, self._existing(), self._first).new}
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
            "fields": self._media.fields(note),
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
        name = next(filter(None, [note.fields.get(self._first), *note.fields.values()]), note.guid)
        self.outcome.refused.append(f"{name}: {why or 'Anki does not take it'}")

    def _find_added(self, notes: Sequence[Note], before: set[int]) -> None:
        """Find the new notes, wherever Anki has put them; tell those that are nowhere."""
        found = self._added(notes, before)
        self.outcome.added = sorted(there.id for _, there in found.there)
        for note in found.new:
            if note.guid not in self._refused:
                self._refuse(note, "Anki did not refuse it, and it is not there")

    def _added(self, notes: Sequence[Note], before: set[int]) -> Matched:
        """Return new notes with what there is of them beside the notes that were there before."""
        ids = [id for id in self._ids(self._of_note_type) if id not in before]
        return match(notes, list(self._infos(ids)), self._first)

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
        """Return the notes of the deck, and those that Anki has put into its default deck in place of it.

        What is there and differs in anything was not put there by an earlier run, and is none of ours.
        """
        own = self._ids(self._query)
        others = set(self._ids(f"{_in_deck(self._default_deck)} {self._of_note_type}")) - set(own)
        ours = {self._content(self._media.fields(note)) for note in self._deck.notes}
        strays = [note for note in self._infos(sorted(others)) if self._content(note.fields) in ours]
        self._strays = {note.id for note in strays}
        return [*self._infos(own), *strays]

    def _content(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(composed(fields.get(name, "")) for name in self._note_type.fields)

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
        self._media.store(media_of([note for note, _ in changed], self._deck.media))
        calls: list[tuple[int, Call]] = []
        for note, there in changed:
            if fields := there.changes(self._media.fields(note)):
                update = {"id": there.id, "fields": fields}
                calls.append((there.id, ("updateNoteFields", {"note": update})))
            if tags := there.lacks(note.tags):
                calls.append((there.id, ("addTags", {"notes": [there.id], "tags": " ".join(tags)})))
        answers = self._anki.calls(call for _, call in calls)
        failures = {
            id: answer.said
            for (id, _), answer in zip(calls, answers, strict=True)
            if isinstance(answer, AnkiError)
        }
        now = {there.id: there for there in self._infos([there.id for _, there in changed])}
        for note, there in changed:
            # A note that is open in Anki's browser is not changed, and nothing is said of it.
            if there.id not in now:
                self._refuse(note, "it was deleted in Anki meanwhile")
            elif self._changes(note, now[there.id]):
                self.outcome.stuck += 1
                self._refuse(note, failures.get(there.id, "it is open in Anki and was not updated"))
            else:
                self.outcome.updated += 1

    def _changes(self, note: Note, there: Existing) -> bool:
        return bool(there.changes(self._media.fields(note)) or there.lacks(note.tags))


def _parts(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _in_deck(name: str) -> str:
    return f'deck:"{quoted(name.title() if name in _NOT_NAMES else name)}"'


def quoted(text: str) -> str:
    """Return text as it stands between quotes in a search, where some characters would mean something else."""
    return re.sub(r'([\\"*_])', r"\\\1", text)
