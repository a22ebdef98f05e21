"""Delivery to Anki: 500 words with a sound each, compared with a client that sends one thing at a time.

A local server stands for Anki and takes as long as Anki does: it looks for requests every 25 ms, and large bodies and
notes keep it busy.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import attrs
from fake_anki.actions import MEASURED, AnkiConnect
from fake_anki.collection import AnkiCollection
from fake_anki.server import AnkiServer
from measure import PART, Figure, from_times

from deckwright import CardTemplate, Deck, Note, NoteType
from deckwright_builtins.anki import Anki

COUNT, SIZE = 500 // PART, 20_000
WORD = NoteType(
    1500000000,
    "Word",
    ("Word", "Translation", "Sound"),
    (
        CardTemplate("Recognise", "{{Word}}{{Sound}}", "{{Translation}}"),
        CardTemplate("Recall", "{{Translation}}", "{{Word}}"),
        CardTemplate("Listen", "{{#Sound}}{{Sound}}{{/Sound}}", "{{Word}}"),
    ),
    "",
)
WHAT = f"{COUNT} notes with {COUNT} files of {SIZE // 1000} KB, {{}} / one request each"


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        deck = deck_in(Path(folder))
        one_by_one = seconds_to_deliver(deck, naive)
        # Into a note type of the user's own, notes are added, not imported.
        by_path = seconds_to_deliver(deck, deliver, has_own_type=True)
        yield from_times(WHAT.format("added, files by their path"), by_path, one_by_one, 1 / 3)
        as_data = seconds_to_deliver(deck, deliver, is_elsewhere=True)
        # This one has no bound: the notes alone take more than a quarter of the time, and large bodies the rest.
        without = from_times(WHAT.format("added, files as data"), as_data, one_by_one, 1)
        yield replace(without, bound="", kept=None)
        yield from_times(
            WHAT.format("imported as a package"), seconds_to_deliver(deck, deliver), one_by_one, 1 / 8
        )
        if real := real_collection():
            imported = seconds_to_deliver(deck, deliver, collection=real)
            yield from_times(
                WHAT.format("imported into a collection of the real Anki"), imported, one_by_one, 1 / 8
            )


def deck_in(folder: Path) -> Deck:
    notes, files = [], []
    for number in range(COUNT):
        content = number.to_bytes(2, "big") * (SIZE // 2)
        files.append(folder / f"deckwright-{hashlib.sha256(content).hexdigest()[:20]}.mp3")
        files[-1].write_bytes(content)
        fields = {
            "Word": f"word {number}",
            "Translation": f"meaning {number}",
            "Sound": f"[sound:{files[-1].name}]",
        }
        notes.append(Note(f"guid-{number}", fields))
    return Deck("Deck", WORD, tuple(notes), tuple(files))


def seconds_to_deliver(
    deck: Deck,
    client: Callable[[Anki, Deck], object],
    *,
    has_own_type: bool = False,
    is_elsewhere: bool = False,
    collection: AnkiCollection | None = None,
) -> float:
    """Return the seconds that a client takes to deliver the deck to a new Anki."""
    path_of = AnkiConnect.getMediaDirPath
    if is_elsewhere:
        AnkiConnect.getMediaDirPath = lambda self: "/of/another/machine"  # type: ignore[method-assign]
    try:
        # The real collection needs no extra time for an import.
        costs = attrs.evolve(MEASURED, imported=0) if collection else MEASURED
        with AnkiServer(collection, costs=costs) as server:
            if has_own_type:
                own = deck.note_type
                server.collection.add_note_type(own.name, own.fields, own.templates, own.css, is_cloze=False)
            anki = Anki({"url": server.url})
            _ = anki.http  # created, with its certificates, before the clock starts
            started = time.perf_counter()
            client(anki, deck)
            taken = time.perf_counter() - started
            anki.close()
            assert len(server.notes()) == len(server.media()) == COUNT
            return taken
    finally:
        AnkiConnect.getMediaDirPath = path_of  # type: ignore[method-assign]
        if collection:
            collection.close()


def deliver(anki: Anki, deck: Deck) -> None:
    result = anki.sync_deck(deck)
    assert result.success, result.error_message


def naive(anki: Anki, deck: Deck) -> None:
    """Deliver a deck as a simple client does, with the same HTTP layer: one thing per request, media as data."""

    def call(action: str, **params: Any) -> None:
        request = {"action": action, "version": 6, "params": params}
        assert anki.http.request("POST", anki.base_url, json=request).json()["error"] is None

    note_type = deck.note_type
    call("createDeck", deck=deck.name)
    call(
        "createModel",
        modelName=note_type.name,
        inOrderFields=list(note_type.fields),
        cardTemplates=[
            {"Name": card.name, "Front": card.front, "Back": card.back} for card in note_type.templates
        ],
        css=note_type.css,
    )
    for file in deck.media:
        call("storeMediaFile", filename=file.name, data=base64.b64encode(file.read_bytes()).decode())
    for note in deck.notes:
        call(
            "addNote", note={"deckName": deck.name, "modelName": note_type.name, "fields": dict(note.fields)}
        )


def real_collection() -> AnkiCollection | None:
    """Return a new collection of the real Anki, if its package is installed."""
    try:
        from fake_anki.real_collection import RealCollection

        return RealCollection()
    except ImportError:
        return None
