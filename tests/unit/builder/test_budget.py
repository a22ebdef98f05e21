"""Budgets: what builds may spend, with many requests at once and prices that are known beforehand, or not."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from deckwright import (
    BadMediaError,
    MediaProvider,
    MediaRequest,
    MediaResult,
    NotFoundError,
    TransientError,
)

Build = Callable[..., Any]
WORDS = [f"palabra {number}" for number in range(60)]
# Seconds after which what should happen at once has not.
DEADLINE = 10.0


class PricedProvider(MediaProvider):
    """Delivers pictures at a price, `at_once` of them at a time.

    `sell` is called with how many were asked for before, and returns the price, or raises; `estimate` is the price that
    it states beforehand.
    """

    supported_types = ("image",)
    at_once = 16

    def __init__(self, sell: Callable[[int], float], estimate: float = math.nan, **config: Any) -> None:
        super().__init__(config)
        self.sell = sell
        self.estimate = estimate
        self.sold: list[float] = []
        self._numbers = itertools.count()

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        return {
            "total_cost": self.estimate * len(requests),
            "per_request": self.estimate,
            "requests_count": len(requests),
        }

    def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
        price = self.sell(next(self._numbers))
        request.target.write_bytes(f"GIF89a {request.content};".encode())
        self.sold.append(price)
        return MediaResult(True, request.target, {"cost": price})


def a_cent(number: int) -> float:
    return 0.01


def test_as_long_as_nobody_knows_the_price_one_is_asked_for_alone_and_then_many(build: Build) -> None:
    others = threading.Event()
    together = threading.Barrier(16)

    def sell(number: int) -> float:
        if number == 0:
            assert not others.wait(0.05)
        elif number <= 16:
            others.set()
            together.wait(DEADLINE)
        return 0.01

    priced = PricedProvider(sell)
    built = build(WORDS, image={"priced": priced}, budget=0.25)
    assert len(priced.sold) == 25
    assert built.report.cost == pytest.approx(0.25)


@pytest.mark.parametrize("estimate", [math.nan, 0.01], ids=["unknown", "known"])
def test_a_price_that_is_always_the_same_is_spent_to_the_last_cent_and_not_beyond(
    build: Build, estimate: float
) -> None:
    priced = PricedProvider(a_cent, estimate)
    built = build(WORDS, image={"priced": priced}, budget=0.4)
    assert len(priced.sold) == 40
    assert built.report.delivered["pictures"] == (40, 60)
    [reason] = {str(missing.reasons["priced"].message) for missing in built.report.missing}
    assert reason == "Another request might exceed the budget of this build, $0.40."


def test_without_a_budget_nobody_waits(build: Build) -> None:
    together = threading.Barrier(16)

    def sell(number: int) -> float:
        if number < 16:
            together.wait(DEADLINE)
        return 0.01

    assert build(WORDS, image={"priced": PricedProvider(sell)}).report.cost == pytest.approx(0.6)


def test_a_budget_is_exceeded_by_no_more_than_what_is_in_flight_costs_more_than_anything_before(
    build: Build,
) -> None:
    together = threading.Barrier(4)

    def sell(number: int) -> float:
        if number == 0:
            return 0.01
        # By what the first has cost there is money for four more, and each of them costs twice as much.
        together.wait(DEADLINE)
        return 0.02

    priced = PricedProvider(sell)
    built = build(WORDS, image={"priced": priced}, budget=0.05)
    assert priced.sold == [0.01, 0.02, 0.02, 0.02, 0.02]
    assert built.report.cost == pytest.approx(0.05 + 4 * (0.02 - 0.01))


def test_an_estimate_that_is_too_low_is_believed_once(build: Build) -> None:
    together = threading.Barrier(5)

    def sell(number: int) -> float:
        together.wait(DEADLINE)
        return 0.03

    priced = PricedProvider(sell, estimate=0.01)
    assert build(WORDS, image={"priced": priced}, budget=0.05).report.cost == pytest.approx(0.15)
    assert len(priced.sold) == 5


def test_of_what_costs_more_than_the_budget_there_is_one_at_most(build: Build) -> None:
    unknown, known = PricedProvider(lambda number: 1.0), PricedProvider(lambda number: 1.0, estimate=1.0)
    build(WORDS, image={"unknown": unknown}, budget=0.5)
    build(WORDS, image={"known": known}, budget=0.5)
    assert (unknown.sold, known.sold) == ([1.0], [])


def test_a_budget_of_nothing_asks_for_nothing_that_may_cost(build: Build) -> None:
    priced, gift = PricedProvider(a_cent), PricedProvider(lambda number: 0.0, estimate=0.0)
    built = build(WORDS, image={"priced": priced, "gift": gift}, budget=0)
    assert priced.sold == []
    assert built.report.sources["pictures"] == {"gift": 60}


def test_when_the_money_is_spent_the_next_provider_takes_over_and_the_report_says_so(build: Build) -> None:
    priced, gift = PricedProvider(a_cent), PricedProvider(lambda number: 0.0, estimate=0.0)
    built = build(WORDS, image={"priced": priced, "gift": gift}, budget=0.1)
    assert built.report.sources["pictures"] == {"priced": 10, "gift": 50}
    assert built.report.missing == ()
    [problem] = map(str, built.report.problems)
    assert problem.startswith(
        "image.priced: was disabled: Another request might exceed the budget of this build"
    )


def test_what_costs_nothing_is_had_also_when_a_budget_was_exceeded(build: Build) -> None:
    expensive, gift = PricedProvider(lambda number: 0.3), PricedProvider(lambda number: 0.0, estimate=0.0)
    built = build(WORDS, image={"expensive": expensive, "gift": gift}, budget=0.1)
    assert built.report.sources["pictures"] == {"expensive": 1, "gift": 59}


def test_the_budget_of_a_day_is_that_of_all_builds_and_that_of_a_build_its_own(build: Build) -> None:
    config = {"build": {"daily_budget": 0.25, "budget": 0.1}}
    made = [build(WORDS, image={"priced": PricedProvider(a_cent)}, config=config).report for _ in range(4)]
    assert [report.delivered["pictures"][0] for report in made] == [10, 10, 5, 0]
    assert "daily budget, $0.25" in str(made[3].missing[0].reasons["priced"])


def test_two_builds_at_once_share_the_budget_of_a_day(build: Build) -> None:
    providers = [PricedProvider(a_cent, estimate=0.01), PricedProvider(a_cent, estimate=0.01)]
    both = [
        threading.Thread(
            target=build, args=(WORDS, None, {"priced": priced}, {"build": {"daily_budget": 0.5}})
        )
        for priced in providers
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(DEADLINE)
    assert sum(len(priced.sold) for priced in providers) == 50


def test_a_provider_has_a_limit_for_the_day_and_a_threshold_to_be_warned_at(build: Build) -> None:
    limits = {"daily_limit_usd": 0.5, "warn_threshold_usd": 0.25}
    made = [
        build(WORDS[:20], image={"priced": PricedProvider(a_cent, cost_limits=limits)}).report
        for _ in range(3)
    ]
    assert [report.delivered["pictures"][0] for report in made] == [20, 20, 10]
    assert "daily_limit_usd of priced, $0.50" in str(made[2].missing[0].reasons["priced"])
    assert [any("warn_threshold_usd" in text for text in map(str, report.warnings)) for report in made] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("failure", "counts"),
    [
        (NotFoundError("none"), False),
        (TransientError("it was not done"), False),
        (TransientError("nobody knows", reply_lost=True), True),
        (BadMediaError("it is no picture"), True),
        (RuntimeError("a fault of its code, after who knows what"), True),
    ],
    ids=["refused", "failed", "lost", "bad", "broken"],
)
def test_what_may_have_been_charged_counts_as_much_as_was_expected(
    build: Build, failure: Exception, counts: bool
) -> None:
    def sell(number: int) -> float:
        if number in (3, 30):
            raise failure
        return 0.01

    priced = PricedProvider(sell, estimate=0.01)
    built = build(WORDS, image={"priced": priced}, budget=0.4)
    assert len(priced.sold) == 40 - 2 * counts
    assert built.report.cost == pytest.approx(0.4)
