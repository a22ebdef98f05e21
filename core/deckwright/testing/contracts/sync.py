"""The contract of places that decks go to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from deckwright.providers.deck import CardTemplate, Deck, Note, NoteType, stable_id
from deckwright.providers.sync import SyncResult
from deckwright.testing.contracts.checking import answering, require
from deckwright.testing.contracts.provider import ProviderContract, checked

_DECK = "Deckwright::Contract"
_NOTE_TYPE = NoteType(
    stable_id("note type Deckwright contract"),
    "Deckwright contract",
    ("Word", "Translation", "Picture"),
    (CardTemplate("Recognise", "{{Word}}", "{{Translation}} {{Picture}}"),),
    ".card { font-size: 20px; }",
)
_WORDS = (("manzana", "apple"), ("ñandú", "rhea &amp; co"))
_PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="5" cy="5" r="4"/></svg>'


class SyncProviderContract(ProviderContract):
    """What every place that decks go to keeps to. Its tests run in a working directory that is empty.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        name: The name that a configuration calls it by.
        wrong_settings: By setting, a value that is to be refused.
    """

    type = "sync"

    @pytest.fixture(autouse=True)
    def _in_an_empty_folder(
        self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A place may write where it stands.
        monkeypatch.chdir(tmp_path_factory.mktemp("sync"))

    def test_it_can_be_reached(self, limited: Any) -> None:
        """`test_connection` is True, and `check_connection` says so in one line."""
        with answering("test_connection"):
            require(
                limited.test_connection() is True,
                f"{self._label} cannot be reached with the fixture `settings`: test_connection is not True.",
            )
        with answering("check_connection"):
            said = limited.check_connection()
        require(
            isinstance(said, str) and "\n" not in said,
            f"check_connection returned {said!r}: it is one line of text, such as 'can be reached'.",
        )

    def test_a_deck_goes_over_and_again(self, limited: Any, tmp_path: Path) -> None:
        """A deck of two notes and a picture is handed over, and so it is a second time."""
        deck = _deck(tmp_path)
        for time in ("first", "second"):
            result = self._handed_over(limited, deck)
            require(
                result.success, f"{self._label} did not take a deck the {time} time: {result.error_message}"
            )

    def test_it_writes_what_it_tells(self, limited: Any, tmp_path: Path) -> None:
        """Where `destination` tells a file, that file is there once a deck was handed over."""
        deck = _deck(tmp_path)
        with answering("destination"):
            path = limited.destination(deck.name, deck.output)
        if path is None:
            pytest.skip("it writes no file")
        result = self._handed_over(limited, deck)
        require(
            not result.success or Path(path).is_file(),
            f"destination() says that {self._label} writes {path}, and once the deck was handed over, it is not there.",
        )

    def test_no_notes_do_no_harm(self, limited: Any, tmp_path: Path) -> None:
        """A deck without notes, and no cards at all, give a result; nothing is raised."""
        self._handed_over(limited, attrs.evolve(_deck(tmp_path), notes=(), media=()))
        self._cards(limited, [])

    def test_nonsense_gives_a_result(self, limited: Any) -> None:
        """Cards that make no sense are a failure in the result; nothing is raised."""
        self._cards(limited, [{"nonsense": object()}])

    def uses(self, provider: Any, folder: Path) -> Iterator[object]:
        """Use a provider in every way there is; yield what each use returned or raised."""
        yield provider.test_connection()
        yield checked(provider)
        deck = _deck(folder)
        yield provider.sync_deck(deck)
        yield provider.sync_cards([{"nonsense": object()}])
        yield provider.destination(deck.name)

    def _handed_over(self, provider: Any, deck: Deck) -> SyncResult:
        with answering("sync_deck", "Whatever goes wrong is in its result."):
            return self._looked_at(provider.sync_deck(deck))

    def _cards(self, provider: Any, cards: list[dict[str, Any]]) -> SyncResult:
        mend = "Whatever goes wrong is in its result. If you override sync_cards, write _sync_cards_impl instead."
        with answering("sync_cards", mend):
            return self._looked_at(provider.sync_cards(cards))

    def _looked_at(self, result: object) -> SyncResult:
        require(
            isinstance(result, SyncResult),
            f"{self._label} returned {result!r}, where a SyncResult should be.",
        )
        assert isinstance(result, SyncResult)  # noqa: S101 - for type checkers
        require(
            result.success or result.error_message.strip(),
            f"{self._label} fails without a word: put into error_message what a person should know.",
        )
        return result


def _deck(folder: Path) -> Deck:
    picture = folder / "deckwright-contract.svg"
    picture.write_text(_PICTURE)
    notes = [
        Note(
            f"deckwright-contract-{number}",
            {"Word": word, "Translation": translation, "Picture": f'<img src="{picture.name}">'},
            ("contract",),
        )
        for number, (word, translation) in enumerate(_WORDS)
    ]
    return Deck(_DECK, _NOTE_TYPE, tuple(notes), (picture,), output=folder / "deckwright-contract")
