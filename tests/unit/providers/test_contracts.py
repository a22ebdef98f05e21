"""What the base classes promise: to callers, to classes of today, and to classes written for the old contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from deckwright import (
    AuthenticationError,
    BadMediaError,
    CardTemplate,
    ContentPolicyError,
    DataProvider,
    Deck,
    DeckwrightError,
    InvalidRequestError,
    MediaProvider,
    MediaRequest,
    MediaResult,
    MissingDependencyError,
    Note,
    NoteType,
    NotFoundError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    ReadOnlyError,
    SettingError,
    SyncProvider,
    SyncRequest,
    SyncResult,
    TransientError,
)
from deckwright.providers.deck import decks_of
from deckwright.providers.sync import WholeDeckProvider


class Bell(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        if request.content == "silence":
            raise NotFoundError("It cannot be heard.")
        if request.content == "crash":
            raise RuntimeError(f"no answer from server?key={self.config['api_key']}")
        assert request.output_path
        request.output_path.write_text(request.content)
        return MediaResult(True, request.output_path, {"params": request.params})


class OldBell(MediaProvider):
    """As providers were written for the old contract."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        super().__init__(config)
        self.made = 0

    @property
    def supported_types(self) -> list[str]:  # type: ignore[override]
        return ["audio", "image"]

    def validate_config(self, config: dict[str, Any]) -> None:
        if not config.get("api_key"):
            raise ValueError("api_key is needed")

    def _setup_from_config(self) -> None:
        self.delay = self.config.get("rate_limit_delay", 0.5)

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        self.made += 1
        return MediaResult(success=False, file_path=None, metadata={}, error="not today")

    def get_cost_estimate(self, requests: Any) -> dict[str, float]:
        return {"total_cost": len(requests) * 0.01, "per_request": 0.01, "requests_count": len(requests)}


class Notebook(SyncProvider):
    """Keeps what it is handed, in order."""

    def _setup_from_config(self) -> None:
        self.got: list[Any] = []

    def _test_connection_impl(self) -> bool:
        if self.config.get("broken"):
            raise ConnectionError("nobody there")
        return True

    def sync_templates(self, note_type: str, templates: list[dict[str, Any]]) -> SyncResult:
        self.got.append((note_type, templates))
        return SyncResult(success=not self.config.get("no_templates"), processed_count=len(templates))

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        if self.config.get("broken"):
            raise ConnectionError(f"refused with {self.config['token']}")
        self.got.append(cards)
        return SyncResult(success=True, processed_count=len(cards), metadata={})


class MemoryData(DataProvider):
    def _setup_from_config(self) -> None:
        super()._setup_from_config()
        self.items: dict[str, Any] = {"nouns": [1]}

    def _load_data_impl(self, identifier: str) -> Any:
        return self.items[identifier]

    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        self.items[identifier] = data
        return True

    def exists(self, identifier: str) -> bool:
        return identifier in self.items

    def list_identifiers(self) -> list[str]:
        return sorted(self.items)


class TestMediaRequest:
    def test_its_defaults(self) -> None:
        request = MediaRequest("audio", "word")
        assert (request.params, request.output_path) == ({}, None)

    @pytest.mark.parametrize(("type", "content"), [("", "word"), ("audio", ""), ("audio", "  ")])
    def test_an_empty_type_or_content_is_a_value_error(self, type: str, content: str) -> None:
        with pytest.raises(ValueError, match="empty") as caught:
            MediaRequest(type, content)
        assert isinstance(caught.value, InvalidRequestError)

    def test_results_and_sync_records_take_their_arguments_in_the_old_order(self, tmp_path: Path) -> None:
        assert attrs.astuple(MediaResult(False, tmp_path, {"a": 1}, "why"))[:4] == (
            False,
            tmp_path,
            {"a": 1},
            "why",
        )
        assert attrs.astuple(SyncRequest("cards", [1], {"a": 1})) == ("cards", [1], {"a": 1})
        assert attrs.astuple(SyncResult(True, 2, {"a": 1}, "why", [3])) == (True, 2, {"a": 1}, "why", [3])


class TestMediaProvider:
    def test_it_makes_what_it_is_requested(self, tmp_path: Path) -> None:
        result = Bell().generate_audio("ding", tmp_path / "a.mp3", language="es")
        assert (result.success, result.file_path) == (True, tmp_path / "a.mp3")
        assert (tmp_path / "a.mp3").read_text() == "ding"
        assert result.metadata == {"params": {"language": "es"}}

    def test_a_batch_gives_one_result_a_request_in_order(self, tmp_path: Path) -> None:
        requests = [MediaRequest("audio", word, {}, tmp_path / word) for word in ("a", "silence", "b")]
        assert [result.success for result in Bell().generate_batch(requests)] == [True, False, True]

    def test_what_it_does_not_deliver_is_a_result_not_an_exception(self, tmp_path: Path) -> None:
        result = Bell().generate_image("ding", tmp_path / "a.png")
        assert not result.success
        assert isinstance(result.failure, InvalidRequestError)
        assert result.error == "Bell makes audio, not image."

    def test_an_error_of_ours_keeps_its_class(self, tmp_path: Path) -> None:
        result = Bell().generate_audio("silence", tmp_path / "a.mp3")
        assert isinstance(result.failure, NotFoundError)
        assert result.error == "It cannot be heard."

    def test_any_other_error_is_reported_without_the_secret_in_it(self, tmp_path: Path) -> None:
        result = Bell({"api_key": "s3cr3t-key"}).generate_audio("crash", tmp_path / "a.mp3")
        assert type(result.failure) is ProviderError
        assert result.error == "RuntimeError: no answer from server?key=***"
        assert "s3cr3t" not in repr(result)

    def test_it_costs_nothing_unless_it_says_so(self) -> None:
        estimate = Bell().get_cost_estimate([MediaRequest("audio", "a"), MediaRequest("audio", "b")])
        assert estimate == {"total_cost": 0.0, "per_request": 0.0, "requests_count": 2}

    def test_what_a_service_would_charge_is_what_is_reckoned_unless_it_can_be_asked(self) -> None:
        class Expensive(Bell):
            def get_cost_estimate(self, requests: Any) -> dict[str, float]:
                return {"total_cost": 2.0, "per_request": 1.0, "requests_count": len(requests)}

        assert Expensive().fetch_cost_estimate([MediaRequest("audio", "a")])["total_cost"] == 2.0

    def test_there_is_nothing_to_reach_unless_it_says_so(self) -> None:
        assert Bell().check_connection() == ""
        assert Bell().warnings == ()

    def test_its_repr_shows_no_settings(self) -> None:
        assert "s3cr3t" not in repr(Bell({"api_key": "s3cr3t-key"}))

    def test_a_class_that_does_not_say_what_it_delivers_delivers_nothing(self, tmp_path: Path) -> None:
        class Mute(MediaProvider):
            def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
                return MediaResult(True)

        result = Mute().generate_audio("ding", tmp_path / "a.mp3")
        assert not result.success
        assert "supported_types" in str(result.error)

    def test_a_class_that_calls_no_constructor_of_ours_still_reports_its_errors(self, tmp_path: Path) -> None:
        class Bare(Bell):
            def __init__(self) -> None:
                pass

        assert Bare().generate_audio("silence", tmp_path / "a.mp3").error == "It cannot be heard."

    def test_a_file_may_be_named_by_text(self, tmp_path: Path) -> None:
        assert Bell().generate_audio("ding", f"{tmp_path}/a.mp3").file_path == tmp_path / "a.mp3"

    def test_a_request_without_a_file_is_reported(self) -> None:
        with pytest.raises(InvalidRequestError, match="'ding' has no output_path"):
            _ = MediaRequest("audio", "ding").target

    def test_one_that_exits_is_a_failure_like_any_other(self, tmp_path: Path) -> None:
        class Quitter(Bell):
            def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
                raise SystemExit("no licence")

        assert Quitter().generate_audio("ding", tmp_path / "a.mp3").error == "SystemExit: no licence"

    def test_so_is_one_that_cancels_itself(self, tmp_path: Path) -> None:
        class Cancelled(BaseException):  # as asyncio's is
            pass

        class Quitter(Bell):
            def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
                raise Cancelled

        assert Quitter().generate_audio("ding", tmp_path / "a.mp3").error == "Cancelled"

    def test_settings_are_read_when_a_class_is_given_for_them(self) -> None:
        @attrs.define
        class Loudness:
            volume: int = 3

        class Loud(Bell):
            config_class = Loudness

        assert Loud({"volume": 5}).settings == Loudness(5)
        with pytest.raises(SettingError, match="volume: should be a whole number, not 'high'"):
            Loud({"volume": "high"})

    def test_the_old_contract_works_as_it_is(self, tmp_path: Path) -> None:
        bell = OldBell({"api_key": "k", "rate_limit_delay": 1.5})
        assert bell.delay == 1.5
        assert bell.supports_type("image")
        assert bell.generate_image("x", tmp_path / "x.png").error == "not today"
        assert bell.made == 1
        assert bell.get_cost_estimate([1, 2])["total_cost"] == 0.02
        with pytest.raises(ValueError, match="api_key is needed"):
            OldBell({})


class TestSyncProvider:
    DECK = Deck(
        "Spanish",
        NoteType(1, "Words", ("Word",), (CardTemplate("Recall", "{{Word}}", "-"),), ""),
        (Note("g1", {"Word": "gato"}, ("animal",)),),
    )

    def test_a_deck_is_synced_in_the_classic_steps(self) -> None:
        notebook = Notebook()
        assert notebook.sync_deck(self.DECK).success
        card = {"Word": "gato", "guid": "g1", "tags": ["animal"], "deck": "Spanish", "note_type": "Words"}
        template = {"name": "Recall", "front": "{{Word}}", "back": "-"}
        assert notebook.got == [("Words", [template]), [card]]

    def test_it_stops_at_the_step_that_fails(self) -> None:
        notebook = Notebook({"no_templates": True})
        assert not notebook.sync_deck(self.DECK).success
        assert len(notebook.got) == 1

    def test_one_card_and_none_existing(self) -> None:
        notebook = Notebook()
        assert notebook.sync_single_card({"Word": "a"}).processed_count == 1
        assert notebook.list_existing("Words") == []

    def test_a_connection_that_does_not_work_is_an_error_when_it_is_checked(self) -> None:
        class Away(Notebook):
            def _test_connection_impl(self) -> bool:
                return False

        assert Notebook().check_connection() == "can be reached"
        with pytest.raises(ProviderError, match="cannot be reached"):
            Away().check_connection()

    def test_faults_are_results_without_secrets(self, caplog: pytest.LogCaptureFixture) -> None:
        notebook = Notebook({"broken": True, "token": "s3cr3t-key"})
        assert notebook.test_connection() is False
        assert "nobody there" in caplog.text
        expected = notebook.sync_cards([{}]).error_message
        assert expected.startswith(f"ConnectionError: refused with *** (raised at {__file__}:")


class TestWholeDeckProvider:
    def test_templates_and_media_are_kept_until_the_cards_come(self) -> None:
        got: list[Deck] = []

        class Parcel(WholeDeckProvider):
            def _test_connection_impl(self) -> bool:
                return True

            def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
                got.extend(self._decks_of(cards, "Mine"))
                return SyncResult(success=True, processed_count=len(cards))

        parcel = Parcel()
        assert parcel.sync_deck(attrs.evolve(TestSyncProvider.DECK, media=(Path("a.mp3"),))).success
        [deck] = got
        assert (deck.name, deck.media) == ("Spanish", (Path("a.mp3"),))
        assert deck.note_type.templates == TestSyncProvider.DECK.note_type.templates
        assert deck.notes == TestSyncProvider.DECK.notes


class TestDataProvider:
    def test_it_loads_and_saves(self) -> None:
        data = MemoryData()
        assert data.save_data("verbs", [2])
        assert (data.load_data("verbs"), data.list_identifiers()) == ([2], ["nouns", "verbs"])
        assert data.backup_data("verbs") is None

    def test_a_read_only_one_refuses_to_write_as_a_permission_error(self) -> None:
        data = MemoryData({"read_only": True})
        assert data.is_read_only
        with pytest.raises(PermissionError, match="'nouns' cannot be written") as caught:
            data.save_data("nouns", [])
        assert isinstance(caught.value, ReadOnlyError)
        data.set_read_only(False)
        assert data.save_data("nouns", [])

    def test_it_keeps_to_what_it_manages(self) -> None:
        data = MemoryData({"files": ["nouns"]})
        assert data.managed_files == ["nouns"]
        assert data.load_data("nouns") == [1]
        with pytest.raises(ValueError, match="This provider does not manage 'verbs', only nouns"):
            data.load_data("verbs")
        data.set_managed_files(["verbs"])
        assert data.save_data("verbs", [2])


class TestLooseCards:
    TEMPLATES: ClassVar = {
        "Words": [CardTemplate("Recall", "{{Word}}", "-")],
        "Verbs": [CardTemplate("Form", "{{Verb}}", "-")],
    }

    def test_they_become_decks_of_one_note_type_each(self) -> None:
        cards = [
            {"Word": "gato", "tags": ["animal"], "guid": "g1"},
            {"Verb": "ser", "note_type": "Verbs", "deck": "Grammar"},
            {"Word": "sol", "Note": "m."},
        ]
        words, verbs = decks_of(cards, self.TEMPLATES, deck="Spanish", media=[Path("a.mp3")])
        assert (words.name, words.note_type.name, words.note_type.fields) == (
            "Spanish",
            "Words",
            ("Word", "Note"),
        )
        assert words.notes[0] == Note("g1", {"Word": "gato", "Note": ""}, ("animal",))
        assert (verbs.name, verbs.note_type.name, len(verbs.notes)) == ("Grammar", "Verbs", 1)
        assert words.media == (Path("a.mp3"),)

    def test_their_identities_stay_the_same(self) -> None:
        def made() -> Deck:
            [deck] = decks_of([{"Word": "gato", "Note": "m."}], self.TEMPLATES, deck="Spanish")
            return deck

        assert made() == made()
        [corrected] = decks_of([{"Word": "gato", "Note": "mammal"}], self.TEMPLATES, deck="Spanish")
        assert corrected.notes[0].guid == made().notes[0].guid

    def test_without_templates_there_are_none(self) -> None:
        with pytest.raises(ProviderError, match="The note type 'Nouns' has no templates"):
            decks_of([{"Word": "gato", "note_type": "Nouns"}], self.TEMPLATES, deck="Spanish")


class TestErrors:
    def test_those_that_end_a_provider_for_the_run(self) -> None:
        # Plugins may have kinds of their own.
        kinds = [kind for kind in ProviderError.__subclasses__() if kind.__module__ == "deckwright.errors"]
        ended = {QuotaError, AuthenticationError, MissingDependencyError}
        assert {kind for kind in kinds if kind.out_for_run} == ended
        goes_on = {TransientError, RateLimitedError, NotFoundError, InvalidRequestError, BadMediaError}
        assert goes_on == set(kinds) - ended
        assert issubclass(ContentPolicyError, InvalidRequestError)

    def test_all_are_ours_and_show_their_hint(self) -> None:
        error = RateLimitedError("Too many.", retry_after=3.0, hint="Wait.")
        assert isinstance(error, DeckwrightError)
        assert (str(error), error.retry_after) == ("Too many.\n  Wait.", 3.0)
