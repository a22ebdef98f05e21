from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from deckwright import (
    AuthenticationError,
    BadMediaError,
    InvalidRequestError,
    MediaProvider,
    MediaRequest,
    MediaResult,
    NotFoundError,
    ProviderError,
    ProviderRegistry,
    QuotaError,
    RateLimitedError,
    SettingError,
    TransientError,
    build_deck,
    hookimpl,
)
from deckwright.testing.servers import (
    Dropped,
    Exchange,
    ForvoServer,
    HtmlPage,
    Received,
    Redirect,
    Reply,
    Slow,
    Truncated,
    forvo,
)
from deckwright.testing.servers.samples import mp3
from deckwright_builtins.forvo import Forvo, country_code, next_reset

Make = Callable[..., Forvo]
Say = Callable[..., MediaResult]

OGG = b"OggS" + bytes(60)
# As it may not stand in a URL, in JSON or in Python.
ODD_KEY = 'k/e+y?#%&"\\$1'


@pytest.fixture
def server() -> Iterator[ForvoServer]:
    with ForvoServer() as server:
        yield server


@pytest.fixture
def make(server: ForvoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Make]:
    """Make providers that ask the server, wait for nothing, and are closed in the end."""
    monkeypatch.setattr("deckwright.toolkit.http.client._DEFAULT_BACKOFF", lambda state: 0.0)
    made: list[Forvo] = []

    def make(**settings: Any) -> Forvo:
        made.append(Forvo({"api_key": server.key, "base_url": server.base_url, "max_retries": 0, **settings}))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


def is_recording(received: Received) -> bool:
    return received.path.startswith("/audio/")


def asked(server: ForvoServer) -> list[dict[str, str]]:
    """Return what each search asked for, by name."""
    searches = [received.path for received in server.requests if not is_recording(received)]
    parts = [[unquote(part) for part in path.strip("/").split("/")] for path in searches]
    return [dict(zip(part[::2], part[1::2], strict=True)) for part in parts]


def speakers(server: ForvoServer, *items: dict[str, Any]) -> None:
    """Have these speakers say "hola"."""
    server.pronunciations["hola"] = [forvo.pronunciation("hola", **item) for item in items]


class TestSound:
    def test_a_word_is_two_requests_and_one_file(self, server: ForvoServer, make: Make, say: Say) -> None:
        result = say(make(), "perro", "es")
        assert result.success
        assert result.file_path is not None
        assert result.file_path.name == "word.mp3"
        assert result.file_path.read_bytes() == mp3("perro (mateo)")
        assert [is_recording(received) for received in server.requests] == [False, True]
        assert server.used == 2

    def test_who_spoke_is_credited(self, server: ForvoServer, make: Make, say: Say) -> None:
        metadata = say(make(), "perro", "es").metadata
        assert metadata["attribution"] == "Pronounced by mateo (Mexico). Pronunciations by Forvo (forvo.com)"
        assert isinstance(metadata.pop("id"), int)
        assert metadata == {
            "word": "perro",
            "language": "es",
            "country": "Mexico",
            "username": "mateo",
            "votes": 9,
            "rate": 9,
            "attribution": metadata["attribution"],
        }

    @pytest.mark.parametrize("country", [None, ""])
    def test_where_a_speaker_is_from_may_be_unknown(
        self, server: ForvoServer, make: Make, say: Say, country: Any
    ) -> None:
        speakers(server, {"username": "ana", "country": country})
        attribution = say(make(country_priorities=["MX"]), "hola", "es").metadata["attribution"]
        assert attribution == "Pronounced by ana. Pronunciations by Forvo (forvo.com)"

    def test_what_a_build_needs_to_know(self, server: ForvoServer) -> None:
        settings = {"api_key": server.key, "pipelines": ["*"]}
        with ProviderRegistry.from_config({"providers": {"audio": {"forvo": settings}}}) as registry:
            info = registry.info_of("audio", "forvo")
        assert info is not None
        assert (info.traits.requests_per_item, info.traits.cacheable) == (2, False)
        assert info.traits.attribution == "Pronunciations by Forvo (forvo.com)"
        assert info.extra == "deckwright[online]"

    def test_the_recording_is_fetched_with_nothing_of_the_search(
        self, server: ForvoServer, make: Make, say: Say
    ) -> None:
        say(make(), "perro", "es")
        assert server.key not in repr(server.requests[1])

    def test_the_user_agent_may_be_chosen(self, server: ForvoServer, make: Make, say: Say) -> None:
        say(make(user_agent="Mozilla/5.0"), "perro", "es")
        assert {received.headers["user-agent"] for received in server.requests} == {"Mozilla/5.0"}


class TestWords:
    @pytest.mark.parametrize(
        "word",
        [
            "and/or",
            "what?",
            "C#",
            "100 %",
            "%2F",
            "a&b=c",
            "Straße",
            "Mädchen",
            "niño",
            "日本語",
            "한국어",
            "...?",
        ],
    )
    def test_odd_words_arrive_as_they_are(self, server: ForvoServer, make: Make, say: Say, word: str) -> None:
        server.pronunciations[word] = [forvo.pronunciation(word, code="xx")]
        result = say(make(), word, "xx")
        assert result.success, result.error
        assert asked(server)[0]["word"] == word

    @pytest.mark.parametrize("word", [".", "..", "..."])
    def test_dots_are_no_word(self, server: ForvoServer, make: Make, say: Say, word: str) -> None:
        failure = say(make(), word, "es").failure
        assert isinstance(failure, NotFoundError)
        assert server.requests == []

    def test_a_word_is_requested_in_its_composed_form_with_single_spaces(
        self, server: ForvoServer, make: Make, say: Say
    ) -> None:
        result = say(make(), unicodedata.normalize("NFD", "  buenos \n días "), "es")
        assert result.success
        assert result.metadata["word"] == unicodedata.normalize("NFC", "buenos días")

    @pytest.mark.parametrize(
        ("tag", "language"),
        [
            ("es", "es"),
            ("es-MX", "es"),
            ("es_MX", "es"),
            ("ES", "es"),
            ("nb", "no"),
            ("fil-PH", "tl"),
            ("cmn-Hans-CN", "zh"),
            ("zh-Hant-TW", "zh"),
            ("yue", "yue"),
        ],
    )
    def test_a_tag_becomes_a_language_of_forvo(
        self, server: ForvoServer, make: Make, say: Say, tag: str, language: str
    ) -> None:
        server.pronunciations["x"] = [forvo.pronunciation("x", code=language)]
        assert say(make(), "x", tag).success
        assert asked(server)[0]["language"] == language

    def test_without_a_language_all_are_searched(
        self, server: ForvoServer, make: Make, tmp_path: Path
    ) -> None:
        assert make().generate_audio("casa", tmp_path / "casa.mp3").success
        assert "language" not in asked(server)[0]

    @pytest.mark.parametrize(("sex", "speaker"), [("m", "mateo"), ("f", "ines")])
    def test_men_or_women_only(
        self, server: ForvoServer, make: Make, say: Say, sex: str, speaker: str
    ) -> None:
        assert say(make(sex=sex), "perro", "es").metadata["username"] == speaker
        assert asked(server)[0]["sex"] == sex

    def test_ogg_is_fetched_when_it_is_wanted(self, server: ForvoServer, make: Make, say: Say) -> None:
        speakers(server, {"pathogg": f"{server.url}/hola.ogg"})
        server.fail(Reply(200, OGG), when=lambda received: received.path == "/hola.ogg")
        result = say(make(audio_format="ogg"), "hola", "es")
        assert result.file_path is not None
        assert result.file_path.name == "word.ogg"
        assert result.file_path.read_bytes() == OGG


class TestPlans:
    @pytest.mark.parametrize(
        ("settings", "base_url"),
        [
            ({}, "https://apifree.forvo.com"),
            ({"plan": "free"}, "https://apifree.forvo.com"),
            ({"plan": "commercial"}, "https://apicommercial.forvo.com"),
            ({"plan": "corporate"}, "https://apicorporate.forvo.com/api2/v1.1"),
            ({"plan": "commercial", "base_url": "https://forvo.test/"}, "https://forvo.test"),
        ],
    )
    def test_each_has_its_host(self, settings: dict[str, Any], base_url: str) -> None:
        assert Forvo({"api_key": "a-key", **settings}).base_url == base_url

    @pytest.mark.parametrize(
        ("plan", "path", "form"),
        [
            ("free", "", "/key/forvo-key/format/json/action/word-pronunciations/word/agua/language/es"),
            ("commercial", "", "/key/forvo-key/format/json/action/word-pronunciations/word/agua/language/es"),
            ("corporate", "/api2/v1.1", "/api2/v1.1/forvo-key/word-pronunciations/word/agua/language/es"),
            # The form shows in the address as well.
            ("free", "/api2/v1.1", "/api2/v1.1/forvo-key/word-pronunciations/word/agua/language/es"),
        ],
    )
    def test_each_is_asked_in_its_form(
        self, server: ForvoServer, make: Make, say: Say, plan: str, path: str, form: str
    ) -> None:
        result = say(make(plan=plan, base_url=server.url + path), "agua", "es")
        assert result.metadata["username"] == "mateo"
        assert server.requests[0].path == form

    def test_a_plan_that_does_not_exist_is_refused(self, make: Make) -> None:
        with pytest.raises(SettingError, match="plan: should be one of 'free', 'commercial', 'corporate'"):
            make(plan="Free")


class TestRanking:
    SPAIN_FIRST = (
        {"username": "ines", "country": "Spain", "rate": 0},
        {"username": "mateo", "country": "Mexico", "rate": 9, "num_positive_votes": 9},
    )

    @pytest.mark.parametrize("mexico", ["MX", "mx", "MEX", "Mexico", "mexico", " MX "])
    @pytest.mark.parametrize("votes", [0, 9])
    def test_the_preferred_country_is_taken_however_it_is_written(
        self, server: ForvoServer, make: Make, say: Say, mexico: str, votes: int
    ) -> None:
        spain, mexican = self.SPAIN_FIRST
        speakers(server, spain, {**mexican, "rate": votes, "num_positive_votes": votes})
        assert say(make(country_priorities=[mexico, "ES"]), "hola", "es").metadata["username"] == "mateo"

    @pytest.mark.parametrize(
        "setting", [{"country_priorities": ["ES"]}, {"priority_groups": [["ES"], ["MX"]]}]
    )
    def test_a_country_counts_for_more_than_votes(
        self, server: ForvoServer, make: Make, say: Say, setting: dict[str, Any]
    ) -> None:
        speakers(server, *self.SPAIN_FIRST)
        assert say(make(**setting), "hola", "es").metadata["username"] == "ines"

    @pytest.mark.parametrize(
        ("settings", "best"),
        [
            ({}, "votes"),
            ({"usernames": ["plain"]}, "plain"),
            ({"usernames": ["nobody", "plain", "votes"]}, "plain"),
            ({"usernames": ["plain"], "country_priorities": ["CO"]}, "plain"),
            ({"country_priorities": ["AR"]}, "votes"),
            ({"country_priorities": ["CO", "MX"]}, "colombian"),
            ({"country_priorities": ["AR", "MX", "CO"]}, "mexican"),
            ({"priority_groups": [["MX", "CO"], ["ES"]]}, "mexican"),
            ({"priority_groups": [["CO", "MX"], ["ES"]]}, "mexican"),
            ({"priority_groups": [["AR"], ["ES"]]}, "votes"),
            ({"priority_groups": [["AR"], ["PE"]], "country_priorities": ["CO"]}, "colombian"),
            ({"priority_groups": [["MX"]], "country_priorities": ["CO", "MX"]}, "mexican"),
        ],
    )
    def test_speakers_then_groups_then_countries_then_votes(
        self, server: ForvoServer, make: Make, say: Say, settings: dict[str, Any], best: str
    ) -> None:
        speakers(
            server,
            {"username": "plain", "country": "Spain"},
            {"username": "colombian", "country": "Colombia", "num_positive_votes": 2},
            {"username": "mexican", "country": "Mexico", "num_positive_votes": 3},
            {"username": "votes", "country": "Spain", "num_positive_votes": 5},
            {"username": "unknown", "country": "Atlantis", "num_positive_votes": 4},
        )
        assert say(make(**settings), "hola", "es").metadata["username"] == best

    @pytest.mark.parametrize(
        ("first", "second", "best"),
        [
            ({"num_positive_votes": 2, "rate": 0}, {"num_positive_votes": 1, "rate": 9}, "first"),
            ({"num_positive_votes": 2, "rate": 1}, {"num_positive_votes": 2, "rate": 2}, "second"),
            ({"num_positive_votes": "9", "rate": "0"}, {"num_positive_votes": "12", "rate": "0"}, "second"),
            ({"num_positive_votes": None, "rate": "x"}, {"num_positive_votes": 0, "rate": 1}, "second"),
            # Of equals, the first; all votes are not good ones.
            ({"num_votes": 1}, {"num_votes": 99}, "first"),
        ],
    )
    def test_good_votes_then_rate(
        self, server: ForvoServer, make: Make, say: Say, first: Any, second: Any, best: str
    ) -> None:
        items = [{"id": 1, **item} for item in (first, second)]
        answer = [
            {"username": name, "pathmp3": f"{server.url}/{name}.mp3", **item}
            for name, item in zip(("first", "second"), items, strict=True)
        ]
        server.fail(Reply.of_json({"items": answer}))
        server.fail(Reply(200, mp3()), when=lambda received: received.path.endswith(".mp3"))
        assert say(make(), "hola", "es").metadata["username"] == best

    @pytest.mark.parametrize(
        ("tag", "settings", "speaker"),
        [
            ("es", {}, "mateo"),
            ("es-ES", {}, "ines"),
            ("es_es", {}, "ines"),
            ("es-Latn-ES", {}, "ines"),
            ("es-MX", {}, "mateo"),
            ("es-419", {}, "mateo"),
            ("es-ES", {"country_priorities": ["MX"]}, "mateo"),
            ("es-ES", {"priority_groups": [["MX"]]}, "mateo"),
        ],
    )
    def test_the_region_of_a_language_counts_where_nothing_is_configured(
        self, make: Make, say: Say, tag: str, settings: dict[str, Any], speaker: str
    ) -> None:
        assert say(make(**settings), "perro", tag).metadata["username"] == speaker

    @pytest.mark.parametrize(
        ("written", "code"),
        [
            ("DE", "DEU"),
            ("deu", "DEU"),
            ("Germany", "DEU"),
            ("Russia", "RUS"),
            ("Russian Federation", "RUS"),
            ("UK", "GBR"),
            ("South Korea", "KOR"),
            ("Taiwan", "TWN"),
            ("Kosovo", "XKX"),
            ("Atlantis", None),
            ("", None),
        ],
    )
    def test_a_country_is_known_by_codes_and_names(self, written: str, code: str | None) -> None:
        assert country_code(written) == code

    @pytest.mark.parametrize(
        ("settings", "key"),
        [
            ({"country_priorities": ["MX", "Atlantis"]}, "country_priorities"),
            ({"priority_groups": [["MX"], ["ES", "Atlantis"]]}, "priority_groups"),
            ({"priority_groups": [["MX"]], "country_priorities": ["Atlantis"]}, "country_priorities"),
        ],
    )
    def test_a_country_that_is_none_is_refused(self, make: Make, settings: dict[str, Any], key: str) -> None:
        with pytest.raises(SettingError) as caught:
            make(**settings)
        assert caught.value.key == key
        assert caught.value.problem == "'Atlantis' is not a country, did you mean 'Albania'?"
        assert caught.value.hint == 'Write an ISO 3166 code or an English name: "MX", "MEX", "Mexico".'


class TestErrors:
    CHECK_KEY = "Check api_key, and set `plan` to the plan of the key."
    NO_JSON = "127.0.0.1 sent something that is not JSON: <!DOCTYPE html>"

    @pytest.mark.parametrize(
        ("fault", "kind", "message", "hint"),
        [
            (
                forvo.QUOTA_SPENT,
                QuotaError,
                "Forvo's requests for today are used up (Limit/day reached.).",
                "More requests are allowed from 22:00 UTC.",
            ),
            (
                forvo.QUOTA_SPENT_200,
                QuotaError,
                "Forvo's requests for today are used up (Limit/day reached.).",
                "More requests are allowed from 22:00 UTC.",
            ),
            (
                forvo.INCORRECT_DOMAIN,
                AuthenticationError,
                "Forvo refuses the key (Calling from incorrect domain.).",
                CHECK_KEY,
            ),
            (
                forvo.INCORRECT_DOMAIN_200,
                AuthenticationError,
                "Forvo refuses the key (Calling from incorrect domain.).",
                CHECK_KEY,
            ),
            (
                forvo.INVALID_VALUE,
                InvalidRequestError,
                "Forvo refuses the request (Invalid value).",
                None,
            ),
            (
                forvo.FORBIDDEN,
                NotFoundError,
                "Forvo does not know this word, or blocks this program (status 403).",
                None,
            ),
            (
                forvo.NOT_FOUND,
                NotFoundError,
                "Forvo does not know this word, or blocks this program (status 404).",
                None,
            ),
            (
                Redirect("https://forvo.com/404"),
                NotFoundError,
                "Forvo does not know this word, or blocks this program (status 302).",
                None,
            ),
            (
                forvo.TOO_MANY_REQUESTS,
                RateLimitedError,
                "127.0.0.1 answered 429 (Too Many Requests): ",
                None,
            ),
            (
                forvo.error("Limit of requests reached.", 429),
                RateLimitedError,
                "Forvo asks for a pause (Limit of requests reached.).",
                None,
            ),
            (
                Reply(500),
                TransientError,
                "127.0.0.1 answered 500 (Internal Server Error): no reason given",
                None,
            ),
            (HtmlPage(), TransientError, NO_JSON, None),
            (Truncated(), TransientError, "The connection to 127.0.0.1 was lost (", None),
            (Dropped(), TransientError, "The connection to 127.0.0.1 was lost (", None),
            (Reply.of_json("hola"), ProviderError, "Forvo sent a response in an unknown form.", None),
            (Reply.of_json([]), ProviderError, "Forvo sent a response in an unknown form.", None),
            (
                Reply.of_json({"items": None}),
                ProviderError,
                "Forvo sent a response in an unknown form.",
                None,
            ),
            (
                Reply.of_json({"attributes": {"total": 0}, "items": []}),
                NotFoundError,
                "Forvo has no pronunciation of 'hola'.",
                None,
            ),
            (
                Reply.of_json({"items": ["hola"]}),
                NotFoundError,
                "Forvo has no pronunciation of 'hola'.",
                None,
            ),
            (
                Reply.of_json({"items": [{"id": 1}]}),
                BadMediaError,
                "Forvo has no mp3 file of 'hola'.",
                None,
            ),
        ],
    )
    def test_each_is_distinguished_from_the_others(
        self,
        server: ForvoServer,
        make: Make,
        say: Say,
        fault: Any,
        kind: type[ProviderError],
        message: str,
        hint: str | None,
    ) -> None:
        server.fail(fault)
        result = say(make(), "hola", "es")
        assert type(result.failure) is kind
        assert result.error == result.failure.message
        assert result.failure.message.startswith(message)
        assert result.failure.hint == hint
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("fault", "kind", "message"),
        [
            (
                forvo.QUOTA_SPENT,
                QuotaError,
                "Forvo's requests for today are used up (Limit/day reached.).",
            ),
            (
                forvo.QUOTA_SPENT_200,
                QuotaError,
                "Forvo's requests for today are used up (Limit/day reached.).",
            ),
            (forvo.FORBIDDEN, BadMediaError, "127.0.0.1 does not send the file (status 403)."),
            (forvo.NOT_FOUND, BadMediaError, "127.0.0.1 does not send the file (status 404)."),
            (forvo.TOO_MANY_REQUESTS, RateLimitedError, "127.0.0.1 answered 429 (Too Many Requests): "),
            (
                HtmlPage(),
                BadMediaError,
                "From 127.0.0.1: the file is an HTML page, but a sound was expected",
            ),
            (Reply(200), BadMediaError, "From 127.0.0.1: the file is empty, but a sound was expected"),
            (Truncated(), TransientError, "The connection to 127.0.0.1 was lost ("),
        ],
    )
    def test_so_it_is_where_the_recording_should_be(
        self,
        server: ForvoServer,
        make: Make,
        say: Say,
        tmp_path: Path,
        fault: Any,
        kind: type[ProviderError],
        message: str,
    ) -> None:
        server.fail(fault, when=is_recording, times=None)
        result = say(make(), "hola", "es")
        assert type(result.failure) is kind
        assert result.failure.message.startswith(message)
        assert list(tmp_path.iterdir()) == []

    def test_a_quota_may_end_between_a_word_and_its_recording(self, make: Make, say: Say) -> None:
        with ForvoServer(quota=3) as server:
            provider = make(base_url=server.base_url)
            assert say(provider, "hola", "es").success
            failure = say(provider, "agua", "es").failure
        assert isinstance(failure, QuotaError)
        assert failure.out_for_run

    def test_a_spent_quota_is_reported_with_its_end(self, make: Make, say: Say, server: ForvoServer) -> None:
        server.quota = 0
        earliest = next_reset(datetime.now(timezone.utc))
        failure = say(make(), "hola", "es").failure
        assert isinstance(failure, QuotaError)
        assert failure.resets_at in (earliest, earliest + timedelta(days=1))
        assert (failure.resets_at.hour, failure.resets_at.utcoffset()) == (22, timedelta())

    @pytest.mark.parametrize(
        ("now", "reset"),
        [
            ("2026-11-24T00:00:00+00:00", "2026-11-24T22:00:00+00:00"),
            ("2026-11-24T21:59:59+00:00", "2026-11-24T22:00:00+00:00"),
            ("2026-11-24T22:00:00+00:00", "2026-11-25T22:00:00+00:00"),
            ("2026-12-31T23:30:00+00:00", "2027-01-01T22:00:00+00:00"),
            ("2026-11-24T19:00:00-05:00", "2026-11-25T22:00:00+00:00"),
        ],
    )
    def test_the_day_ends_at_22_utc(self, now: str, reset: str) -> None:
        assert next_reset(datetime.fromisoformat(now)) == datetime.fromisoformat(reset)

    @pytest.mark.parametrize(
        ("fault", "requests"),
        [
            (forvo.QUOTA_SPENT, 1),
            (forvo.INCORRECT_DOMAIN, 1),
            (forvo.INVALID_VALUE, 1),
            (forvo.FORBIDDEN, 1),
            (Reply(503), 3),
            (Reply(429, headers={"Retry-After": "0"}), 3),
            (Reply(429, headers={"Retry-After": "3600"}), 1),
            (Dropped(), 3),
            (HtmlPage(), 3),
        ],
    )
    def test_only_what_may_pass_is_tried_again(
        self, server: ForvoServer, make: Make, say: Say, fault: Any, requests: int
    ) -> None:
        server.fail(fault, times=None)
        assert not say(make(max_retries=2), "hola", "es").success
        assert len(server.requests) == requests

    def test_one_failure_is_not_noticed(self, server: ForvoServer, make: Make, say: Say) -> None:
        server.fail(Reply(503))
        server.fail(Dropped(after=10), when=is_recording)
        assert say(make(max_retries=1), "hola", "es").success

    def test_a_slow_answer_is_given_up(self, server: ForvoServer, make: Make, say: Say) -> None:
        server.fail(Slow(60))
        failure = say(make(timeout=0.2), "hola", "es").failure
        assert isinstance(failure, TransientError)
        assert failure.message == "127.0.0.1 did not answer in time (ReadTimeout: timed out)."

    def test_a_server_that_is_not_there_is_reported(self, make: Make, say: Say) -> None:
        with ForvoServer() as gone:
            provider = make(base_url=gone.base_url)
        failure = say(provider, "hola", "es").failure
        assert isinstance(failure, TransientError)
        assert failure.message.startswith("127.0.0.1 cannot be reached (")

    def test_pictures_are_not_delivered(self, server: ForvoServer, make: Make, tmp_path: Path) -> None:
        failure = make().generate_image("hola", tmp_path / "hola.png").failure
        assert isinstance(failure, InvalidRequestError)
        assert server.requests == []

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({}, "is required and missing"),
            ({"api_key": ""}, "the given secret is not allowed (it is empty)"),
            ({"api_key": "${FORVO_API_KEY}"}, "the environment variable FORVO_API_KEY is not set."),
            ({"api_key": None}, "should be text, not the given secret"),
        ],
    )
    def test_without_a_key_it_is_not_made_and_the_reason_is_reported(
        self, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], problem: str
    ) -> None:
        monkeypatch.delenv("FORVO_API_KEY", raising=False)
        config = {"providers": {"audio": {"forvo": {"pipelines": ["*"], **settings}}}}
        with ProviderRegistry.from_config(config) as registry:
            [failure] = registry.failures
            assert registry.get("audio", "forvo") is None
        assert (failure.where, failure.error) == ("providers.audio.forvo.api_key", problem)


class TestCheckConnection:
    def test_it_costs_one_request_and_says_so(self, server: ForvoServer, make: Make) -> None:
        found = make().check_connection()
        assert found == "the key is accepted (this used one request of your plan)"
        assert server.used == 1
        assert asked(server)[0] == {
            "key": server.key,
            "format": "json",
            "action": "word-pronunciations",
            "word": "hello",
            "language": "en",
            "limit": "1",
        }

    @pytest.mark.parametrize(
        ("settings", "kind"),
        [({"api_key": "another"}, AuthenticationError), ({"base_url": "http://127.0.0.1:9"}, TransientError)],
    )
    def test_what_keeps_it_from_working_is_raised(
        self, make: Make, settings: dict[str, Any], kind: type[ProviderError]
    ) -> None:
        with pytest.raises(kind):
            make(**settings).check_connection()


class TestSeveral:
    WORDS = ("hola", "agua", "gracias", "perro", "sí", "niño", "buenos días", "hola")

    def requests(self, folder: Path) -> list[MediaRequest]:
        return [
            MediaRequest("audio", word, {"language": "es"}, folder / f"{number}.mp3")
            for number, word in enumerate(self.WORDS)
        ]

    def is_right(self, word: str, result: MediaResult) -> bool:
        path = result.file_path
        return path is not None and path.read_bytes() == mp3(f"{word} ({result.metadata['username']})")

    def test_a_batch_keeps_its_order(self, server: ForvoServer, make: Make, tmp_path: Path) -> None:
        server.latency = 0.01
        results = make(max_concurrent=3).generate_batch(self.requests(tmp_path))
        assert all(self.is_right(word, result) for word, result in zip(self.WORDS, results, strict=True))
        assert server.used == 2 * len(self.WORDS)

    def test_what_fails_in_a_batch_fails_alone(self, server: ForvoServer, make: Make, tmp_path: Path) -> None:
        del server.pronunciations["gracias"]
        results = make().generate_batch(self.requests(tmp_path))
        assert [result.success for result in results] == [word != "gracias" for word in self.WORDS]

    def test_it_may_be_used_from_several_threads(
        self, server: ForvoServer, make: Make, tmp_path: Path
    ) -> None:
        provider = make()
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(provider.generate_media, self.requests(tmp_path)))
        assert all(self.is_right(word, result) for word, result in zip(self.WORDS, results, strict=True))

    def test_a_closed_provider_speaks_again(self, make: Make, say: Say) -> None:
        provider = make()
        assert say(provider, "hola", "es").success
        provider.close()
        provider.close()
        assert say(provider, "agua", "es").success


class Silence(MediaProvider):
    """Has something for every word."""

    supported_types = ("audio",)

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        self.words.append(request.content)
        request.target.write_bytes(mp3(request.content))
        return MediaResult(True, request.target)


class Plugin:
    """Offers `silence`, and keeps what comes of each request."""

    def __init__(self) -> None:
        self.silence = Silence()
        self.results: dict[str, MediaResult] = {}

    @hookimpl
    def register_media_provider(self, type: str, name: str) -> Any:
        return self.silence if (type, name) == ("audio", "silence") else None

    @hookimpl
    def media_generated(self, request: MediaRequest, result: MediaResult) -> None:
        self.results[request.content] = result


class TestBuild:
    @pytest.fixture
    def config(self, server: ForvoServer) -> dict[str, Any]:
        audio = {
            "forvo": {"api_key": server.key, "base_url": server.base_url, "pipelines": ["*"]},
            "silence": {"pipelines": ["*"]},
        }
        return {"providers": {"audio": audio, "sync": {"apkg": {"pipelines": ["*"]}}}}

    def test_the_next_provider_is_requested_an_unknown_word(
        self, config: dict[str, Any], server: ForvoServer, tmp_path: Path
    ) -> None:
        plugin = Plugin()
        report = build_deck(
            ["hola", "zzz", "agua"],
            language="es",
            config=config,
            output=tmp_path / "deck.apkg",
            plugins=[plugin],
        )
        assert report.delivered["sounds"] == (3, 3)
        assert plugin.silence.words == ["zzz"]
        assert [len(plugin.results[word].metadata) > 0 for word in ("hola", "zzz", "agua")] == [
            True,
            False,
            True,
        ]
        assert server.used == 5

    def test_alone_it_leaves_an_unknown_word_without_a_sound(
        self, config: dict[str, Any], tmp_path: Path
    ) -> None:
        del config["providers"]["audio"]["silence"]
        report = build_deck(["hola", "zzz"], language="es", config=config, output=tmp_path / "deck.apkg")
        [missing] = report.missing
        assert isinstance(missing.reasons["forvo"], NotFoundError)
        assert str(missing.reasons["forvo"]) == "Forvo has no pronunciation of 'zzz'."

    def test_a_spent_quota_is_met_once(
        self, config: dict[str, Any], server: ForvoServer, tmp_path: Path
    ) -> None:
        server.quota = 2
        config["providers"]["audio"]["forvo"]["max_concurrent"] = 1
        plugin = Plugin()
        build_deck(
            ["hola", "agua", "perro", "sí"],
            language="es",
            config=config,
            output=tmp_path / "deck.apkg",
            plugins=[plugin],
        )
        # A build asks for several words at once, and any of them may come first.
        assert len(plugin.silence.words) == 3
        assert len(server.requests) == 3


class Echo:
    """Says back what was asked, key and all."""

    def __init__(self, status: int, *, as_json: bool) -> None:
        self.status = status
        self.as_json = as_json

    def apply(self, exchange: Exchange) -> None:
        said = f"No such thing: {exchange.received.path} {unquote(exchange.received.path)}"
        exchange.send(forvo.error(said, self.status) if self.as_json else HtmlPage(said, self.status).reply())


class TestSecrecy:
    @pytest.fixture(params=["0123456789abcdef", ODD_KEY])
    def key(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def keyed(self, key: str, server: ForvoServer) -> ForvoServer:
        server.key = key
        return server

    def forms(self, key: str) -> list[str]:
        return [key, quote(key), quote(key, safe=""), json.dumps(key)[1:-1], repr(key)[1:-1]]

    @pytest.mark.parametrize(
        "fault",
        [
            None,
            forvo.QUOTA_SPENT,
            forvo.INCORRECT_DOMAIN,
            Echo(200, as_json=True),
            Echo(400, as_json=True),
            Echo(200, as_json=False),
            Echo(429, as_json=False),
            Echo(500, as_json=False),
            Dropped(reset=True),
            Redirect("https://forvo.com/404"),
            Reply.of_json({"items": [{"pathmp3": "http://127.0.0.1:9/no"}]}),
        ],
    )
    def test_the_key_is_nowhere_to_be_read(
        self,
        keyed: ForvoServer,
        make: Make,
        say: Say,
        key: str,
        fault: Any,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        provider = make(max_retries=1)
        if fault is not None:
            keyed.fail(fault, times=None)
        result = say(provider, "hola", "es")
        assert result.success == (fault is None)
        reported = [repr(provider), str(provider), repr(result), str(result.error), str(result.failure)]
        try:
            provider.check_connection()
        except ProviderError as error:
            reported += [str(error), repr(error), repr(error.args)]
        reported += [caplog.text, *(repr(vars(record)) for record in caplog.records)]
        assert "httpcore" in caplog.text
        for form in self.forms(key):
            assert not any(form in text for text in reported)

    def test_nor_in_what_a_registry_reports(self, key: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        settings = {"api_key": key, "country_priorities": [key], "pipelines": ["*"]}
        with ProviderRegistry.from_config({"providers": {"audio": {"forvo": settings}}}) as registry:
            [failure] = registry.failures
        reported = [str(failure), repr(failure), caplog.text]
        for form in self.forms(key):
            assert not any(form in text for text in reported)
