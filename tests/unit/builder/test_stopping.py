"""A build that its user wants no more: what is in flight is finished and kept, and the next build goes on there."""

from __future__ import annotations

import _thread
import itertools
import signal
import threading
from typing import Any

import pytest
from fake_providers import DEADLINE, DeckBuilder, picture, sound

from deckwright import Progress

WORDS = [f"palabra {number}" for number in range(12)]


def interrupt() -> None:
    """Press Ctrl-C, from another thread."""
    if hasattr(signal, "pthread_kill"):
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)  # wakes it as well
    else:
        _thread.interrupt_main()


class Stopping:
    """Listens until a build says that it is stopping."""

    def __init__(self) -> None:
        self.reported = threading.Event()
        self.stages: list[str] = []

    def __call__(self, progress: Progress) -> None:
        if progress.is_stopping:
            self.stages.append(progress.stage)
            self.reported.set()


def test_what_is_in_flight_is_finished_and_cached_and_no_more_is_begun(builder: DeckBuilder) -> None:
    stopping = Stopping()
    all_at_work = threading.Barrier(4, action=interrupt)
    numbers = itertools.count()

    def work(request: Any, settings: Any) -> bytes:
        if next(numbers) >= 4:
            all_at_work.wait(DEADLINE)
            assert stopping.reported.wait(DEADLINE)
        return sound(request, settings)

    voice = builder.add_voice(make=work, at_once=4)
    with pytest.raises(KeyboardInterrupt, match=r"8 of 12 sounds and pictures are saved"):
        builder.build(WORDS, progress=stopping)
    assert len(voice.requested()) == 8
    assert list((builder.store / "runs").iterdir()) == []
    voice.make = sound
    assert builder.build(WORDS).cached == {"sounds": 8}
    assert len(voice.requested()) == 4


def test_so_it_is_when_it_has_hardly_begun(builder: DeckBuilder) -> None:
    stopping = Stopping()

    def on_progress(progress: Progress) -> None:
        stopping(progress)
        if progress == Progress("sounds", 0, 12):  # when the first of the threads has started
            interrupt()
            assert stopping.reported.wait(DEADLINE)

    voice = builder.add_voice(at_once=64)
    with pytest.raises(KeyboardInterrupt, match="of 12 sounds and pictures are saved"):
        builder.build(WORDS, progress=on_progress)
    made = len(voice.requested())
    assert builder.build(WORDS).cached == {"sounds": made}


def test_each_stage_reports_once_that_it_stops(builder: DeckBuilder) -> None:
    stopping = Stopping()
    both = threading.Barrier(2, action=interrupt)

    def waiting(make: Any) -> Any:
        def work(request: Any, settings: Any) -> bytes:
            both.wait(DEADLINE)
            assert stopping.reported.wait(DEADLINE)
            return make(request, settings)  # type: ignore[no-any-return]

        return work

    builder.add_voice(make=waiting(sound))
    builder.add_artist(make=waiting(picture))
    with pytest.raises(KeyboardInterrupt, match=r"2 of 24 sounds and pictures are saved"):
        builder.build(WORDS, progress=stopping)
    assert sorted(stopping.stages) == ["pictures", "sounds"]


def test_those_that_wait_for_money_wait_no_longer(builder: DeckBuilder) -> None:
    stopping = Stopping()

    def work(request: Any, settings: Any) -> bytes:
        if len(artist.requests) == 3:
            interrupt()
            assert stopping.reported.wait(DEADLINE)
        return picture(request, settings)

    # There is money for three, and for one more only if one of them should cost less than it says.
    artist = builder.add_artist(make=work, at_once=4, price=0.3)
    with pytest.raises(KeyboardInterrupt, match="3 of 12"):
        builder.build(WORDS, budget=0.9, progress=stopping)
    assert len(artist.requested()) == 3


def test_the_next_provider_is_not_asked_any_more(builder: DeckBuilder) -> None:
    stopping = Stopping()

    def work(request: Any, settings: Any) -> bytes:
        if len(first.requests) == 5:
            interrupt()
            assert stopping.reported.wait(DEADLINE)
            raise OSError("it failed in the meantime")
        return sound(request, settings)

    first, second = builder.add_voice("first", make=work), builder.add_voice("second")
    with pytest.raises(KeyboardInterrupt, match="4 of 12"):
        builder.build(WORDS, progress=stopping)
    assert (len(first.requested()), second.requested()) == (5, [])


def test_a_second_time_it_ends_at_once_and_what_was_in_flight_may_have_been_charged(
    builder: DeckBuilder,
) -> None:
    released, left = threading.Event(), threading.Event()

    def hang(request: Any, settings: Any) -> bytes:
        interrupt()
        released.wait(2 * DEADLINE)
        left.set()
        return picture(request, settings)

    def again(progress: Progress) -> None:
        if progress.is_stopping:
            interrupt()

    artist = builder.add_artist(make=hang, price=0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            builder.build(WORDS[:2], progress=again)
        assert not left.is_set()
        assert list((builder.store / "runs").iterdir()) == []
        assert builder.query("SELECT state, cost FROM requests") == [("lost", 0.5)]
    finally:
        released.set()
    assert left.wait(DEADLINE)
    artist.requested()
    artist.make = picture
    report = builder.build(WORDS[:2])
    assert (artist.requested(), report.cached) == (sorted(WORDS[:2]), {"pictures": 0})
    assert report.cost == pytest.approx(1.0)
