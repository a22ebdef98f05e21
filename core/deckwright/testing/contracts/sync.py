"""The contract of providers that deliver decks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from deckwright.providers.deck import CardTemplate, Deck, Note, NoteType, stable_id
from deckwright.providers.sync import SyncResult
from deckwright.testing.contracts.assertions import must_not_raise, require
from deckwright.testing.contracts.provider import ProviderContract, connection_result

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
    """What every sync provider must do. The tests run in an empty working directory.

    Attributes:
        plugin: The plugin that makes it: a module or object with hooks.
        name: The provider's name in a configuration.
        wrong_settings: For each setting, a value that must be refused.
    """

    type = "sync"

    @pytest.fixture(autouse=True)
    def _in_an_empty_folder(
        self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A provider may write into the working directory.
        monkeypatch.chdir(tmp_path_factory.mktemp("sync"))

    def test_connection_works(self, timed_provider: Any) -> None:
        """`test_connection` returns True, and `check_connection` one line of text."""
        with must_not_raise("test_connection"):
            require(
                timed_provider.test_connection() is True,
                f"{self._label} cannot be reached with the fixture `settings`: test_connection did not return True.",
            )
        with must_not_raise("check_connection"):
            status = timed_provider.check_connection()
        require(
            isinstance(status, str) and "\n" not in status,
            f"check_connection returned {status!r}. Return one line of text, such as 'can be reached'.",
        )

    def test_deck_can_be_delivered_twice(self, timed_provider: Any, tmp_path: Path) -> None:
        """A deck of two notes and a picture can be delivered, and then delivered again."""
        deck = _deck(tmp_path)
        for attempt in ("first", "second"):
            result = self._deliver(timed_provider, deck)
            require(
                result.success,
                f"{self._label} did not accept a deck the {attempt} time: {result.error_message}",
            )

    def test_destination_is_written(self, timed_provider: Any, tmp_path: Path) -> None:
        """If `destination` returns a file, that file exists after a deck was delivered."""
        deck = _deck(tmp_path)
        with must_not_raise("destination"):
            path = timed_provider.destination(deck.name, deck.output)
        if path is None:
            pytest.skip("it writes no file")
        result = self._deliver(timed_provider, deck)
        require(
            not result.success or Path(path).is_file(),
            f"destination() of {self._label} returned {path}, but no such file exists after the delivery.",
        )

    def test_empty_deck_gives_a_result(self, timed_provider: Any, tmp_path: Path) -> None:
        """A deck without notes and an empty list of cards give a result; nothing is raised."""
        self._deliver(timed_provider, attrs.evolve(_deck(tmp_path), notes=(), media=()))
        self._cards(timed_provider, [])

    def test_invalid_cards_give_a_result(self, timed_provider: Any) -> None:
        """Invalid cards give a failed result; nothing is raised."""
        self._cards(timed_provider, [{"invalid": object()}])

    def uses(self, provider: Any, folder: Path) -> Iterator[object]:
        """Use a provider in every possible way; yield what each use returned or raised."""
        yield provider.test_connection()
        yield connection_result(provider)
        deck = _deck(folder)
        yield provider.sync_deck(deck)
        yield provider.sync_cards([{"invalid": object()}])
        yield provider.destination(deck.name)

    def _deliver(self, provider: Any, deck: Deck) -> SyncResult:
        with must_not_raise("sync_deck", "Errors must be in its result."):
            return self._checked(provider.sync_deck(deck))

    def _cards(self, provider: Any, cards: list[dict[str, Any]]) -> SyncResult:
        hint = "Errors must be in its result. If you override sync_cards, override _sync_cards_impl instead."
        with must_not_raise("sync_cards", hint):
            return self._checked(provider.sync_cards(cards))

    def _checked(self, result: object) -> SyncResult:
        require(
            isinstance(result, SyncResult),
            f"{self._label} returned {result!r} instead of a SyncResult.",
        )
        assert isinstance(result, SyncResult)  # noqa: S101 - for type checkers
        require(
            result.success or result.error_message.strip(),
            f"{self._label} fails without a message. Set error_message to a text for the user.",
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
