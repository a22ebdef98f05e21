"""Along the chain: who is asked again, who next, and who no more. Each row of the table in docs/builds.md."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest
from fake_providers import DeckBuilder, raising, sound

from deckwright import (
    AuthenticationError,
    BadMediaError,
    BuildReport,
    ContentPolicyError,
    InvalidRequestError,
    MissingDependencyError,
    NotFoundError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    TransientError,
)
from deckwright.testing.servers import ForvoServer, HtmlPage, OpenAIServer, Received, Reply, forvo, openai

WORDS = ["uno", "dos", "tres", "cuatro", "cinco", "seis"]


@attrs.frozen
class Asked:
    """What became of words that were asked of a provider that fails, and then of another.

    Two words are at work at the same time, since there are two providers: in which order they come is chance.
    """

    report: BuildReport
    first: list[str]
    second: list[str]

    @property
    def is_out(self) -> bool:
        return any("first: was disabled" in problem for problem in map(str, self.report.problems))


@pytest.fixture
def ask(builder: DeckBuilder) -> Callable[..., Asked]:
    """Builds with a provider that answers one request after the other so, and a second one that has everything.

    An answer is an error to be raised, or None for a sound; the last one is that to all further requests.
    """

    def ask(*answers: Exception | None) -> Asked:
        left = list(answers)

        def make(request: Any, settings: Any) -> bytes:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer is not None:
                raise answer
            return sound(request, settings)

        first, second = builder.add_voice("first", make=make), builder.add_voice("second")
        report = builder.build(WORDS)
        assert report.delivered == {"sounds": (6, 6)}
        asked = Asked(report, first.requested(), second.requested())
        assert report.sources["sounds"].get("second", 0) == len(asked.second)
        return asked

    return ask


DOWN, NONE = TransientError("no answer"), NotFoundError("no such word")

# The table, for what a provider says


def test_one_that_does_not_answer_is_out_after_three_in_a_row(ask: Callable[..., Asked]) -> None:
    asked = ask(DOWN)
    assert (len(asked.first), len(asked.second), asked.is_out) == (3, 6, True)


def test_one_that_answers_in_between_is_not(ask: Callable[..., Asked]) -> None:
    asked = ask(DOWN, DOWN, None, DOWN, DOWN, None)
    assert (len(asked.first), len(asked.second), asked.is_out) == (6, 4, False)


def test_nor_is_one_that_says_no_in_between(ask: Callable[..., Asked]) -> None:
    """What refuses a word is up and running."""
    asked = ask(DOWN, DOWN, NONE, DOWN, DOWN, NONE)
    assert (len(asked.first), len(asked.second), asked.is_out) == (6, 6, False)


def test_one_that_asks_for_a_longer_pause_than_allowed_is_not_out(ask: Callable[..., Asked]) -> None:
    asked = ask(RateLimitedError("slow down", retry_after=3600))
    assert (len(asked.first), len(asked.second), asked.is_out) == (6, 6, False)


def test_one_without_quota_is_out(ask: Callable[..., Asked]) -> None:
    asked = ask(None, QuotaError("spent"))
    assert (len(asked.first), len(asked.second), asked.is_out) == (2, 5, True)


@pytest.mark.parametrize(("hours", "first"), [(-1, 6), (1, 2)], ids=["past", "to come"])
def test_until_it_says_that_there_is_more(ask: Callable[..., Asked], hours: int, first: int) -> None:
    resets_at = datetime.now(timezone.utc) + timedelta(hours=hours)
    asked = ask(None, QuotaError("spent", resets_at=resets_at), None)
    assert (len(asked.first), asked.is_out) == (first, hours > 0)


def test_a_time_that_names_no_zone_ends_no_build(ask: Callable[..., Asked]) -> None:
    asked = ask(None, QuotaError("spent", resets_at=datetime(2999, 1, 1)), None)
    assert (len(asked.first), len(asked.second)) == (2, 5)


@pytest.mark.parametrize("error", [AuthenticationError("bad key"), MissingDependencyError("no package")])
def test_one_that_refuses_the_key_or_lacks_a_package_is_out(
    ask: Callable[..., Asked], error: Exception
) -> None:
    asked = ask(error, None)
    assert (len(asked.first), len(asked.second), asked.is_out) == (1, 6, True)


@pytest.mark.parametrize(
    "error", [NONE, ContentPolicyError("not such"), InvalidRequestError("no")], ids=lambda e: type(e).__name__
)
def test_one_that_refuses_a_word_is_asked_for_the_others(ask: Callable[..., Asked], error: Exception) -> None:
    asked = ask(None, error, error, error, error, None)
    assert (len(asked.first), len(asked.second), asked.is_out) == (6, 4, False)


def test_what_is_no_sound_is_asked_of_the_next_one(builder: DeckBuilder) -> None:
    odd = builder.add_voice("odd", make=lambda request, settings: b"<!doctype html><p>Sold out")
    builder.add_voice()
    report = builder.build(WORDS)
    assert (len(odd.requested()), report.sources) == (6, {"sounds": {"voice": 6}})
    [problem] = map(str, report.problems)
    assert problem.startswith("audio.odd: failed 6 times, first: ")


def test_one_beyond_the_budget_is_out(builder: DeckBuilder) -> None:
    expensive, free = builder.add_voice("expensive", price=0.4), builder.add_voice("free")
    report = builder.build(WORDS, budget=1.0)
    assert (len(expensive.requested()), len(free.requested())) == (2, 4)
    [problem] = map(str, report.problems)
    assert problem.startswith("audio.expensive: was disabled: Another request might exceed the budget")


def test_one_that_takes_longer_than_its_time_limit_is_out(builder: DeckBuilder) -> None:
    free = threading.Event()

    def hang(request: Any, settings: Any) -> bytes:
        free.wait()
        return b"ID3 too late"

    stuck, voice = builder.add_voice("stuck", make=hang), builder.add_voice()
    config = builder.config(plugins={"time_limit": 0.01})
    report = builder.build(WORDS, config=config)
    free.set()
    assert (len(stuck.requested()), len(voice.requested())) == (1, 6)
    assert "took longer than 0.2 s" in "".join(map(str, report.problems))
    # What comes late is not kept as anybody's.
    assert b"ID3 too late" not in builder.files.values()


def test_each_type_and_each_build_begins_again(builder: DeckBuilder) -> None:
    voice = builder.add_voice(make=raising(QuotaError("spent")))
    artist = builder.add_artist()
    assert builder.build(WORDS).delivered == {"sounds": (0, 6), "pictures": (6, 6)}
    assert (voice.requested(), artist.requested()) == (["uno"], sorted(WORDS))
    voice.make = sound
    assert builder.build(WORDS).delivered == {"sounds": (6, 6), "pictures": (6, 6)}


def test_the_order_is_that_of_the_configuration(builder: DeckBuilder) -> None:
    for name in ("b", "a", "c"):
        builder.add_voice(name, make=raising(NotFoundError(f"not in {name}")))
    [missing] = builder.build(["uno"]).missing
    assert list(missing.reasons) == ["b", "a", "c"]


def test_a_file_of_the_second_in_the_cache_does_not_spare_the_first_that_may_have_it_by_now(
    builder: DeckBuilder,
) -> None:
    first, second = (
        builder.add_voice("first", make=raising(TransientError("down"))),
        builder.add_voice("second"),
    )
    builder.build(["uno"])
    first.make = sound
    first.requested(), second.requested()
    assert builder.build(["uno"]).sources == {"sounds": {"first": 1}}
    assert (first.requested(), second.requested()) == (["uno"], [])


# The table, for what services do


@pytest.fixture
def forvo_server() -> Iterator[ForvoServer]:
    with ForvoServer() as server:
        yield server


@pytest.fixture
def painters() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


def of_forvo(builder: DeckBuilder, server: ForvoServer, **settings: Any) -> dict[str, Any]:
    known = {"pipelines": ["*"], "api_key": server.key, "base_url": server.base_url, "max_concurrent": 1}
    audio = {"forvo": {**known, **settings}, "voice": {"pipelines": ["*"]}}
    return builder.config(providers={"audio": audio})


def of_openai(builder: DeckBuilder, server: OpenAIServer, **settings: Any) -> dict[str, Any]:
    known = {"pipelines": ["*"], "api_key": server.key, "base_url": server.base_url, "max_concurrent": 1}
    image = {"openai": {**known, **settings}, "artist": {"pipelines": ["*"]}}
    return builder.config(providers={"image": image})


def test_a_pause_that_is_short_enough_is_waited_for(builder: DeckBuilder, painters: OpenAIServer) -> None:
    builder.add_artist()
    painters.fail(openai.rate_limited(0.01, milliseconds=True))
    report = builder.build(["hola"], config=of_openai(builder, painters))
    assert report.sources["pictures"] == {"openai": 1}
    assert len(painters.requests) == 2


def test_in_a_pause_that_is_too_long_the_next_one_is_asked(
    builder: DeckBuilder, painters: OpenAIServer
) -> None:
    builder.add_artist()
    painters.fail(openai.rate_limited(3600))
    report = builder.build(["hola", "agua"], config=of_openai(builder, painters))
    assert report.sources["pictures"] == {"artist": 2}
    assert len(painters.requests) == 1
    assert report.problems == ()


def test_a_download_that_is_no_sound_is_tried_once_more(
    builder: DeckBuilder, forvo_server: ForvoServer
) -> None:
    def is_download(received: Received) -> bool:
        return "/audio/" in received.path

    builder.add_voice()
    forvo_server.fail(HtmlPage(), times=None, when=is_download)
    report = builder.build(["hola"], config=of_forvo(builder, forvo_server))
    assert report.sources == {"sounds": {"voice": 1}}
    assert sum(map(is_download, forvo_server.requests)) == 2


def test_a_picture_that_is_none_and_was_paid_for_is_not(builder: DeckBuilder, painters: OpenAIServer) -> None:
    builder.add_artist()
    painters.fail(Reply.of_json({"created": 1, "data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}), times=None)
    report = builder.build(["hola"], config=of_openai(builder, painters))
    assert report.sources == {"pictures": {"artist": 1}}
    assert len(painters.requests) == 1
    # What it cost is not known, and counts as expected.
    assert report.costs["openai"] > 0


def test_a_spent_quota_ends_the_asking(builder: DeckBuilder, forvo_server: ForvoServer) -> None:
    builder.add_voice()
    forvo_server.fail(forvo.QUOTA_SPENT, times=None)
    report = builder.build(["hola", "agua", "gracias"], config=of_forvo(builder, forvo_server))
    assert report.sources == {"sounds": {"voice": 3}}
    assert len(forvo_server.requests) == 1


def test_a_word_that_forvo_has_not_is_not_looked_up_again(
    builder: DeckBuilder, forvo_server: ForvoServer
) -> None:
    builder.add_voice()
    for _ in range(2):
        report = builder.build(["zzz"], config=of_forvo(builder, forvo_server))
        assert report.sources == {"sounds": {"voice": 1}}
    assert len(forvo_server.requests) == 1


@pytest.mark.parametrize(
    "error", [RateLimitedError("slow down"), InvalidRequestError("not so"), BadMediaError("torn")]
)
def test_one_that_fails_for_ten_words_in_a_row_is_out(builder: DeckBuilder, error: ProviderError) -> None:
    first = builder.add_voice("first", make=raising(error))
    builder.add_voice("second")
    report = builder.build([f"word {number}" for number in range(30)])
    assert len(first.requested()) == 10
    assert report.sources == {"sounds": {"second": 30}}


def test_the_table_has_these_rows() -> None:
    """Each row has a test above."""
    docs = Path(__file__).parents[3] / "docs" / "builds.md"
    table = docs.read_text(encoding="utf-8").partition("| the provider |")[2].partition("\n\n")[0]
    assert len(table.splitlines()[2:]) == 10
