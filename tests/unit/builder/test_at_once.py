"""Many at once: as many as each provider allows, and no more; and what observers see meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from fake_providers import DEADLINE, DeckBuilder, Settings, picture, raising, sound

from deckwright import (
    AuthenticationError,
    MediaRequest,
    MediaResult,
    NotFoundError,
    Progress,
    TransientError,
)
from deckwright.testing.servers import OpenAIServer

WORDS = [f"palabra {number}" for number in range(24)]


class Together:
    """Lets the first so many go on only when all of them are at work at the same time.

    Attributes:
        met: Whether they were.
    """

    def __init__(self, count: int, make: Callable[[MediaRequest, Settings], Any] = sound) -> None:
        self._make = make
        self._left = count
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(count, action=lambda: self.__dict__.update(met=True))
        self.met = False

    def __call__(self, request: MediaRequest, settings: Settings) -> Any:
        with self._lock:
            self._left -= 1
            waits = self._left >= 0
        if waits:
            self._barrier.wait(DEADLINE)
        return self._make(request, settings)


def test_a_provider_is_asked_for_one_after_the_other_unless_it_says_otherwise(builder: DeckBuilder) -> None:
    voice = builder.add_voice()
    assert builder.build(WORDS).delivered == {"sounds": (24, 24)}
    assert voice.most == 1


@pytest.mark.parametrize("price", [0.0, 0.01], ids=["free", "paid"])
def test_it_is_asked_for_as_many_at_once_as_it_allows_and_never_more(
    builder: DeckBuilder, price: float
) -> None:
    together = Together(4)
    voice = builder.add_voice(make=together, at_once=4, price=price)
    assert builder.build(WORDS).delivered == {"sounds": (24, 24)}
    assert (together.met, voice.most) == (True, 4)


@pytest.mark.parametrize("said", [0, -3, "many", None])
def test_what_makes_no_sense_is_one_at_a_time(builder: DeckBuilder, said: Any) -> None:
    voice = builder.add_voice(at_once=said)
    assert builder.build(WORDS).delivered == {"sounds": (24, 24)}
    assert voice.most == 1


def test_sounds_and_pictures_are_made_at_the_same_time(builder: DeckBuilder) -> None:
    meeting = threading.Barrier(2)

    def meet(make: Any) -> Any:
        def made(request: MediaRequest, settings: Settings) -> Any:
            if request.content == WORDS[0]:
                meeting.wait(DEADLINE)
            return make(request, settings)

        return made

    builder.add_voice(make=meet(sound))
    builder.add_artist(make=meet(picture))
    assert builder.build(WORDS).delivered == {"sounds": (24, 24), "pictures": (24, 24)}


def test_while_the_first_is_at_work_others_are_asked_for_what_it_has_not(builder: DeckBuilder) -> None:
    second_was_asked = threading.Event()

    def slow(request: MediaRequest, settings: Settings) -> Any:
        if len(first.requests) == 2:
            assert second_was_asked.wait(DEADLINE)
            return sound(request, settings)
        raise NotFoundError("no such word")

    def second(request: MediaRequest, settings: Settings) -> Any:
        second_was_asked.set()
        return sound(request, settings)

    first = builder.add_voice("first", make=slow)
    builder.add_voice("second", make=second)
    assert builder.build(WORDS).sources == {"sounds": {"first": 1, "second": 23}}


def test_a_service_is_asked_for_as_many_as_its_settings_allow(builder: DeckBuilder) -> None:
    at_work, most = 0, 0
    lock = threading.Lock()
    meeting = threading.Barrier(3)

    class Painters(OpenAIServer):
        def answer(self, received: Any) -> Any:
            nonlocal at_work, most
            with lock:
                at_work += 1
                most = max(most, at_work)
                waits = len(self.requests) <= 3
            if waits:
                meeting.wait(DEADLINE)
            try:
                return super().answer(received)
            finally:
                with lock:
                    at_work -= 1

    with Painters() as server:
        settings = {"pipelines": ["*"], "api_key": server.key, "base_url": server.base_url}
        config = builder.config(
            providers={"image": {"openai": {**settings, "max_concurrent": 3, "size": "1024x1024"}}}
        )
        assert builder.build(WORDS[:6], config=config).delivered["pictures"] == (6, 6)
        assert most == 3


def test_the_same_is_paid_for_once_also_when_it_is_asked_for_at_once(builder: DeckBuilder) -> None:
    """Words that differ in what a provider does not look at are one request."""
    voice = builder.add_voice(at_once=4, price=0.01, by_word=True)
    report = builder.build([{"word": "banco", "translation": str(number)} for number in range(8)])
    assert report.delivered == {"sounds": (8, 8)}
    assert voice.requested() == ["banco"]
    assert report.cost == pytest.approx(0.01)


# Those that are out


@pytest.mark.parametrize(
    ("error", "most"),
    [
        (AuthenticationError("bad key"), 8),
        # Those that were in flight at the same time have failed once.
        (TransientError("down"), 8 * 3),
    ],
    ids=["for good", "down"],
)
def test_one_that_is_out_is_asked_for_little_more_than_was_in_flight(
    builder: DeckBuilder, error: Exception, most: int
) -> None:
    words = [f"palabra {number}" for number in range(200)]
    out = builder.add_voice("out", make=raising(error), at_once=8)
    builder.add_voice("second", at_once=8)
    report = builder.build(words)
    assert len(out.requested()) <= most
    assert report.sources == {"sounds": {"second": 200}}
    assert tuple(map(str, report.problems)) == (f"audio.out: was disabled: {error}",)


# What observers see


def test_plugins_observe_each_new_item_once_and_of_one_at_a_time(builder: DeckBuilder) -> None:
    alone = threading.Lock()
    heard: list[tuple[str, str, bool]] = []

    def hear(request: MediaRequest, result: MediaResult) -> None:
        assert alone.acquire(blocking=False), "two at once"
        try:
            heard.append((request.type, request.content, result.success))
            if result.success:
                assert result.file_path is not None
        finally:
            alone.release()

    builder.add_voice(make=Together(4), at_once=4)
    builder.add_artist(make=raising(NotFoundError("nothing fits"), WORDS[0]), at_once=4)
    builder.observe(hear)
    report = builder.build(WORDS)
    assert report.problems == ()
    assert sorted(heard) == sorted(
        [("audio", word, True) for word in WORDS] + [("image", word, word != WORDS[0]) for word in WORDS]
    )
    heard.clear()
    report = builder.build([*WORDS, "nueva"])
    assert {item for item in heard if item[2]} == {("audio", "nueva", True), ("image", "nueva", True)}


def test_progress_goes_up_to_the_total_and_reports_the_cost(builder: DeckBuilder) -> None:
    reported: dict[str, list[Progress]] = {"sounds": [], "pictures": [], "deck": []}
    inside = {stage: threading.Lock() for stage in reported}

    def on_progress(progress: Progress) -> None:
        with_nobody_else = inside[progress.stage].acquire(blocking=False)
        assert with_nobody_else, "two at once for one stage"
        reported[progress.stage].append(progress)
        inside[progress.stage].release()

    builder.add_voice(at_once=4)
    builder.add_artist(make=raising(NotFoundError("nothing fits"), WORDS[0]), at_once=4, price=0.25)
    builder.build(WORDS, progress=on_progress)
    for stage in ("sounds", "pictures"):
        assert [(step.done, step.total) for step in reported[stage]] == [(done, 24) for done in range(25)]
        costs = [step.cost for step in reported[stage]]
        assert costs == sorted(costs)
    assert reported["pictures"][-1].cost == pytest.approx(23 * 0.25)
    assert reported["deck"][-1] == Progress("deck", 1, 1, pytest.approx(23 * 0.25))
    assert not any(step.is_stopping for steps in reported.values() for step in steps)


def test_an_error_of_the_programs_own_observer_is_raised_and_what_was_made_is_cached(
    builder: DeckBuilder,
) -> None:
    def on_progress(progress: Progress) -> None:
        if progress.done == 2:
            raise ZeroDivisionError("in the program")

    voice = builder.add_voice()
    with pytest.raises(ZeroDivisionError, match="in the program"):
        builder.build(WORDS, progress=on_progress)
    assert voice.requested() == sorted(WORDS[:2])
    assert builder.build(WORDS).cached == {"sounds": 2}
