"""Brings a deck into Anki: its note type, its media and its notes, each compared with what Anki already has."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from deckwright import Deck, InvalidRequestError, Note, ProviderError
from deckwright_builtins.anki.anki_deck import AnkiDeck
from deckwright_builtins.anki.connection import AnkiConnect, AnkiError, Call
from deckwright_builtins.anki.media import is_named_by_content, media_of
from deckwright_builtins.anki.new_notes import add_notes, import_notes
from deckwright_builtins.anki.note_type import create_note_type, prepare_note_type
from deckwright_builtins.anki.notes import ExistingNote, Matches, as_stored

_DETAILED_CHECK = "canAddNotesWithErrorDetail"
_IMPORT = "importPackage"


@attrs.define
class Outcome:
    """The outcome of a delivery.

    Attributes:
        deck: The deck of the notes.
        added: Anki's ids of the new notes.
        updated: How many notes were updated.
        unchanged: How many notes were up to date.
        outdated: How many notes differ, and were not updated.
        stuck: How many notes Anki did not update although it should.
        moved: How many cards were moved from another deck.
        media: How many files were stored one by one; a package brings its own.
        cards: How many cards the deck has now.
        refused: Which notes and updates Anki refused, and why.
    """

    deck: str = ""
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
    def total(self) -> int:
        """How many notes of the deck are in Anki now."""
        return len(self.added) + self.updated + self.unchanged + self.outdated + self.stuck

    @property
    def summary(self) -> str:
        """The outcome in words."""
        parts = [
            f"{len(self.added)} {'note' if len(self.added) == 1 else 'notes'} added",
            f"{self.updated} updated",
            f"{self.unchanged} unchanged",
        ]
        if self.outdated:
            parts.append(f"{self.outdated} outdated (set update_existing = true to update them)")
        return ", ".join(parts)


@attrs.define(kw_only=True)
class Delivery:
    """The delivery of one deck.

    Attributes:
        deck: The deck, with the names that it and its note type should have in Anki.
        timeout: How many seconds to wait for an import whose response was lost.
        wait: Waits for some seconds, and returns whether to continue.
    """

    anki: AnkiConnect
    deck: Deck
    update_existing: bool
    update_templates: bool
    timeout: float
    wait: Callable[[float], bool]
    _refused_guids: set[str] = attrs.field(init=False, factory=set)
    _outcome: Outcome = attrs.field(init=False, factory=Outcome)

    def run(self) -> Outcome:
        """Deliver the deck. A second delivery changes nothing.

        Raises:
            ProviderError: Anki cannot be reached, or refuses the deck. Earlier changes are not undone.
        """
        notes = self._valid_notes()
        supported = self.anki.supported([_DETAILED_CHECK, _IMPORT])
        prepared = prepare_note_type(self.anki, self.deck.note_type, update=self.update_templates)
        target = AnkiDeck(self.anki, attrs.evolve(self.deck, notes=notes, note_type=prepared.note_type))
        # Anki may store these files under other names, which the notes must use.
        media = media_of(notes, self.deck.media)
        target.media.store(file for file in media if not is_named_by_content(file))
        matches = target.match(notes, target.existing_notes())
        if matches.new:
            before = set(target.note_ids())
            can_import = prepared.can_import and _IMPORT in supported
            if not (can_import and import_notes(target, matches.new, before, self.timeout, self.wait)):
                if not prepared.exists:
                    create_note_type(self.anki, prepared.note_type)
                target.media.store(media_of(matches.new, self.deck.media))
                add_notes(target, matches, self._refuse, detailed=_DETAILED_CHECK in supported)
            self._record_added(target.match_added(matches.new, before))
        known = {existing.id for _, existing in matches.known}
        outcome = self._outcome
        outcome.moved = target.move_cards([*outcome.added, *sorted(known & target.misplaced)])
        self._update(target, matches)
        outcome.deck = target.deck.name
        outcome.media = target.media.stored
        outcome.cards = target.card_count()
        return outcome

    def _valid_notes(self) -> tuple[Note, ...]:
        """Return the notes that Anki can take, as it would store them; refuse the others."""
        note_type, first = self.deck.note_type, self.deck.note_type.fields[0]
        notes = []
        for note in map(as_stored, self.deck.notes):
            # Anki would silently drop such a field.
            if unknown := [name for name in note.fields if name not in note_type.fields]:
                raise InvalidRequestError(f"The note type {note_type.name!r} has no field {unknown[0]!r}.")
            if note.fields.get(first):
                notes.append(note)
            else:
                self._refuse(note, f"its field {first!r} is empty")
        for file in media_of(notes, self.deck.media):
            if not file.is_file():
                raise ProviderError(f"The media file {file} does not exist.")
        return tuple(notes)

    def _refuse(self, note: Note, reason: str | None) -> None:
        self._refused_guids.add(note.guid)
        first = note.fields.get(self.deck.note_type.fields[0])
        name = next(filter(None, [first, *note.fields.values()]), note.guid)
        self._outcome.refused.append(f"{name}: {reason or 'Anki refused it'}")

    def _record_added(self, added: Matches) -> None:
        self._outcome.added = sorted(existing.id for _, existing in added.known)
        for note in added.new:
            if note.guid not in self._refused_guids:
                self._refuse(note, "Anki accepted it, but did not add it")

    def _update(self, target: AnkiDeck, matches: Matches) -> None:
        """Update existing notes that differ, or count them as outdated."""

        def differs(note: Note, existing: ExistingNote) -> bool:
            return bool(existing.changes(target.media.fields(note)) or existing.missing_tags(note.tags))

        changed = [(note, existing) for note, existing in matches.known if differs(note, existing)]
        self._outcome.unchanged = len(matches.known) - len(changed)
        if not self.update_existing:
            self._outcome.outdated = len(changed)
            return
        target.media.store(media_of([note for note, _ in changed], self.deck.media))
        calls: list[tuple[int, Call]] = []
        for note, existing in changed:
            if fields := existing.changes(target.media.fields(note)):
                update = {"id": existing.id, "fields": fields}
                calls.append((existing.id, ("updateNoteFields", {"note": update})))
            if tags := existing.missing_tags(note.tags):
                calls.append((existing.id, ("addTags", {"notes": [existing.id], "tags": " ".join(tags)})))
        results = self.anki.calls(call for _, call in calls)
        failures = {
            id: result.reason
            for (id, _), result in zip(calls, results, strict=True)
            if isinstance(result, AnkiError)
        }
        now = {existing.id: existing for existing in target.notes([existing.id for _, existing in changed])}
        for note, existing in changed:
            # Anki silently does not update a note that is open in its browser.
            if existing.id not in now:
                self._refuse(note, "it was deleted in Anki meanwhile")
            elif differs(note, now[existing.id]):
                self._outcome.stuck += 1
                self._refuse(note, failures.get(existing.id, "it is open in Anki and was not updated"))
            else:
                self._outcome.updated += 1
