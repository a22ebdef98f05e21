"""Adds notes that Anki does not have yet: as a package, or one by one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from deckwright import MissingDependencyError, Note, ProviderError, TransientError
from deckwright.anki.package import write_package
from deckwright_builtins.anki.anki_deck import AnkiDeck, batches
from deckwright_builtins.anki.connection import AnkiError
from deckwright_builtins.anki.media import is_named_by_content, media_of
from deckwright_builtins.anki.notes import Matches

# Anki takes about 14 ms to add a note, however many there are in one request.
_BATCH_SIZE = 250
_PAUSE = 1.0  # seconds between two checks whether an import is finished


def import_notes(
    target: AnkiDeck, notes: Sequence[Note], before: set[int], timeout: float, wait: Callable[[float], bool]
) -> bool:
    """Let Anki import notes with their media as a package; return whether it could.

    `before` are the ids of all notes of the note type that existed before. If the response is lost, this waits up to
    `timeout` seconds for the notes; `wait` waits for some seconds and returns whether to continue.
    """
    if not target.media.folder:
        return False
    # On Windows, a file that Anki still reads cannot be deleted.
    with tempfile.TemporaryDirectory(prefix="deckwright-", ignore_cleanup_errors=True) as folder:
        package = Path(folder, "deck.apkg")
        named = tuple(attrs.evolve(note, fields=target.media.fields(note)) for note in notes)
        media = [file for file in media_of(notes, target.deck.media) if is_named_by_content(file)]
        try:
            write_package(package, [attrs.evolve(target.deck, notes=named, media=())], media)
            target.anki.call("importPackage", repeatable=False, path=str(package))
        except (AnkiError, MissingDependencyError):
            return False  # Anki may not be able to see files of this machine
        except TransientError as error:
            if not error.reply_lost:
                raise
            # The import may take long, and needs its file until the end.
            until = time.monotonic() + timeout
            while not _are_added(target, notes, before) and time.monotonic() < until:
                if not wait(_PAUSE):
                    raise
    return True


def _are_added(target: AnkiDeck, notes: Sequence[Note], before: set[int]) -> bool:
    with suppress(TransientError):  # Anki may be too busy to answer
        return not target.match_added(notes, before).new
    return False


def add_notes(
    target: AnkiDeck, matches: Matches, refuse: Callable[[Note, str | None], None], *, detailed: bool
) -> None:
    """Add the new notes one by one; call `refuse` with every note that Anki refuses, and its reason if `detailed`."""
    # One note that Anki refuses may make a request with many notes fail, so they are checked first.
    check = "canAddNotesWithErrorDetail" if detailed else "canAddNotes"
    for notes in batches(matches.new, _BATCH_SIZE):
        payloads = [_payload(target, note, note.guid in matches.alike) for note in notes]
        verdicts = target.anki.call(check, notes=payloads)
        addable = []
        for note, payload, verdict in zip(notes, payloads, verdicts, strict=True):
            if verdict is True or (isinstance(verdict, dict) and verdict.get("canAdd")):
                addable.append((note, payload))
            else:
                refuse(note, verdict.get("error") if isinstance(verdict, dict) else None)
        for note, payload in _add_together(target, addable):
            try:
                target.anki.call("addNote", repeatable=False, note=payload)
            except AnkiError as error:
                refuse(note, error.reason)


def _add_together(
    target: AnkiDeck, notes: Sequence[tuple[Note, dict[str, Any]]]
) -> Iterable[tuple[Note, dict[str, Any]]]:
    """Add notes in one request; return those that must be added one by one."""
    if not notes:
        return []
    try:
        ids = target.anki.call("addNotes", repeatable=False, notes=[payload for _, payload in notes])
    except AnkiError:
        return notes  # this release adds all or none
    except TransientError as error:
        if not error.reply_lost:
            raise
        # Some may have been added, and must not be added twice.
        missing = {note.guid for note in target.match(target.deck.notes, target.existing_notes()).new}
        return [(note, payload) for note, payload in notes if note.guid in missing]
    if not isinstance(ids, list) or len(ids) != len(notes):
        raise ProviderError("Anki did not report which notes it added.")
    return [pair for pair, id in zip(notes, ids, strict=True) if id is None]


def _payload(target: AnkiDeck, note: Note, is_alike: bool) -> dict[str, Any]:
    """Return a note as `addNotes` takes it."""
    name = target.deck.name
    return {
        "deckName": name,
        "modelName": target.deck.note_type.name,
        "fields": target.media.fields(note),
        "tags": list(note.tags),
        "options": {
            "allowDuplicate": is_alike,  # Anki would refuse the second of two words with the same spelling
            "duplicateScope": "deck",
            "duplicateScopeOptions": {"deckName": name, "checkChildren": False, "checkAllModels": False},
        },
    }
