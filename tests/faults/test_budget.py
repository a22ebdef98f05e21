"""Budgets with many requests at once, prices that nobody knows beforehand, and several builds at a time."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import attrs
import pytest
from faults.build_processes import PRICED_PLUGIN, BuildFolder, PriceServer, ended, require_whole

from deckwright.store import Store
from deckwright.testing.servers import LostReply, Reply

WORDS = [f"palabra {number}" for number in range(300)]
AT_ONCE = 32
LATENCY = 0.04
# Sums of dollars are not exact.
DUST = 1e-6


@pytest.fixture
def server() -> Iterator[PriceServer]:
    with PriceServer(latency=LATENCY) as server:
        yield server


@pytest.fixture
def configure_prices(folder: BuildFolder) -> Callable[..., None]:
    """Write a configuration with servers in their order; options are lines of TOML."""

    def configure(*servers: PriceServer, build: str = "", options: str = "", second: str = "") -> None:
        sections = []
        for name, server, its in zip(("priced", "spare"), servers, (options, second), strict=False):
            sections.append(
                f'[providers.image.{name}]\npipelines = ["*"]\nbase_url = "{server.base_url}"\n'
                f"max_concurrent = {AT_ONCE}\ntimeout = 5\n{its}\n"
            )
        folder.configure("".join(sections), build=build, plugins=[PRICED_PLUGIN])

    return configure


@attrs.frozen
class Step:
    """One change of a request in the ledger: when it is asked, what is reserved; then what was charged."""

    id: str
    state: str
    cost: float


def watch(folder: BuildFolder) -> Callable[[], list[Step]]:
    """Have the ledger note every step of every request."""
    Store(folder.store).close()
    with closing(sqlite3.connect(folder.store / "ledger.sqlite")) as ledger:
        ledger.executescript(
            "CREATE TABLE steps (id, state, cost);"
            "CREATE TRIGGER asked AFTER INSERT ON requests"
            " BEGIN INSERT INTO steps VALUES (new.id, new.state, new.cost); END;"
            "CREATE TRIGGER settled AFTER UPDATE ON requests"
            " BEGIN INSERT INTO steps VALUES (new.id, new.state, new.cost); END;"
        )
    return lambda: [Step(*row) for row in folder.query("SELECT id, state, cost FROM steps ORDER BY rowid")]


def test_a_price_that_is_not_known_and_always_the_same_is_never_exceeded(
    folder: BuildFolder, server: PriceServer, configure_prices: Callable[..., None]
) -> None:
    configure_prices(server)
    done = folder.build(folder.words("deck", WORDS), "--budget", "1.00")
    assert len(server.charges) == 100
    assert done.code == 3
    assert done.report["pictures"] == 100
    assert done.report["cost"] == pytest.approx(1.00)
    reasons = {item["reasons"]["priced"] for item in done.report["missing"]}
    assert len(done.report["missing"]) == 200
    assert all("budget of this build, $1.00" in reason for reason in reasons)
    folder.require_consistent()
    # It would be no art to ask one after the other.
    assert server.max_at_once > AT_ONCE / 4


@pytest.mark.parametrize("seed", [1, 2, 3, None], ids=["at random", "at random 2", "at random 3", "a rise"])
def test_prices_that_differ_exceed_a_budget_by_no_more_than_the_rule_allows(
    folder: BuildFolder, server: PriceServer, configure_prices: Callable[..., None], seed: int | None
) -> None:
    chance = random.Random(seed)
    server.price = lambda sold: chance.uniform(0.002, 0.03)
    if seed is None:
        server.price = lambda sold: 0.005 if sold < 100 else 0.06
    configure_prices(server)
    steps = watch(folder)
    budget = 1.0
    done = folder.build(folder.words("deck", WORDS), "--budget", str(budget))
    assert done.code == 3
    assert len(server.charges) < len(WORDS)

    reserved: dict[str, float] = {}
    settled = max_cost = 0.0
    allowed = budget
    taken = {step.id: step.cost for step in steps() if step.state != "asked"}
    for place, step in enumerate(steps()):
        if step.state != "asked":
            settled += step.cost
            del reserved[step.id]
            max_cost = max(max_cost, step.cost)
            continue
        # The first is alone, with all the money; of the others, each is reserved what one before has cost.
        assert step.cost == budget if place == 0 else step.cost in taken.values()
        reserved[step.id] = step.cost
        assert settled + sum(reserved.values()) <= budget + DUST
        allowed = budget + sum(max(0.0, taken[id] - expected) for id, expected in reserved.items())
    assert server.charged == pytest.approx(settled)
    assert server.charged <= allowed + DUST
    assert seed is not None or server.charged > budget
    print(
        f"\n{len(server.charges)} sold for ${server.charged:.4f} of ${budget}; the rule allows ${allowed:.4f}"
    )
    # What was left was too little for one more.
    assert server.charged > budget - max_cost
    folder.require_consistent()


def test_of_a_first_one_that_costs_more_than_there_is_no_second_is_asked(
    folder: BuildFolder, server: PriceServer, configure_prices: Callable[..., None]
) -> None:
    server.price = lambda sold: 0.30
    configure_prices(server)
    done = folder.build(folder.words("deck", WORDS), "--budget", "0.10")
    assert len(server.charges) == 1
    assert (done.code, done.report["pictures"]) == (3, 1)


def test_a_known_price_is_spent_to_the_last_cent(
    folder: BuildFolder, server: PriceServer, configure_prices: Callable[..., None]
) -> None:
    configure_prices(server, build="budget = 1.0", options="price = 0.01")
    done = folder.build(folder.words("deck", WORDS))
    assert len(server.charges) == 100
    assert done.report["cost"] == pytest.approx(1.0)
    # The next one may spend as much again, and asks for nothing that is there.
    done = folder.build(folder.words("deck", WORDS))
    assert len({word for word, _ in server.charges}) == len(server.charges) == 200
    assert done.report["pictures"] == 200


@pytest.mark.parametrize("price", ["", "price = 0.01"], ids=["unknown", "known"])
def test_two_builds_share_the_budget_of_a_day(
    folder: BuildFolder, server: PriceServer, configure_prices: Callable[..., None], price: str
) -> None:
    configure_prices(server, build="daily_budget = 1.0", options=price)
    both = [
        folder.start(folder.words(name, [f"{name} {word}" for word in WORDS[:150]]))
        for name in ("one", "two")
    ]
    reports = [ended(process).report for process in both]
    assert len(server.charges) == 100
    assert sum(report["pictures"] for report in reports) == 100
    assert sum(report["cost"] for report in reports) == pytest.approx(1.0)
    third = folder.build(folder.words("three", ["más"]))
    assert (third.code, len(server.charges)) == (3, 100)
    assert "daily budget, $1.00" in third.report["missing"][0]["reasons"]["priced"]
    folder.require_consistent()


def test_a_provider_has_a_limit_for_the_day_over_all_builds(
    folder: BuildFolder, server: PriceServer, configure_prices: Callable[..., None]
) -> None:
    configure_prices(server, options="cost_limits = { daily_limit_usd = 0.5, warn_threshold_usd = 0.4 }")
    reports = [
        folder.build(folder.words(name, [f"{name} {word}" for word in WORDS[:30]])).report
        for name in ("one", "two", "three")
    ]
    assert [report["pictures"] for report in reports] == [30, 20, 0]
    assert len(server.charges) == 50
    assert "daily_limit_usd of priced, $0.50" in reports[2]["missing"][0]["reasons"]["priced"]
    assert [any("warn_threshold_usd" in text for text in report["warnings"]) for report in reports] == [
        False,
        True,
        True,
    ]


def test_when_the_money_is_spent_the_next_provider_takes_over(
    folder: BuildFolder, server: PriceServer, configure_prices: Callable[..., None]
) -> None:
    with PriceServer(lambda sold: 0.0, latency=LATENCY) as free:
        configure_prices(server, free, second="price = 0.0")
        words = folder.words("deck", WORDS)
        done = folder.build(words, "--budget", "1.00")
    assert (len(server.charges), len(free.charges)) == (100, 200)
    assert done.report["sources"]["pictures"] == {"priced": 100, "spare": 200}
    assert done.report["missing"] == []
    assert done.code == 3
    assert any("image.priced" in text and "budget of this build" in text for text in done.report["problems"])
    require_whole(folder.deck(words), WORDS, sounds=False)


@attrs.frozen
class Failure:
    fault: Any
    is_charged: bool
    counts: bool


@pytest.mark.parametrize(
    "failure",
    [
        Failure(Reply(400), is_charged=False, counts=False),
        # Which says that it was not done; of a gateway's error nobody knows.
        Failure(Reply(500), is_charged=False, counts=False),
        Failure(Reply(502), is_charged=False, counts=True),
        Failure(LostReply(), is_charged=True, counts=True),
        Failure(LostReply(Reply(504)), is_charged=True, counts=True),
    ],
    ids=["refused", "failed", "gateway failed", "lost", "timed out"],
)
def test_what_may_have_been_charged_counts(
    folder: BuildFolder, server: PriceServer, configure_prices: Callable[..., None], failure: Failure
) -> None:
    configure_prices(server, options="price = 0.01\nmax_retries = 0")
    unlucky = {WORDS[5], WORDS[50]}
    server.fail(failure.fault, times=None, when=lambda received: received.json()["word"] in unlucky)
    done = folder.build(folder.words("deck", WORDS), "--budget", "1.00")
    assert done.report["cost"] == pytest.approx(1.0)
    assert len(server.charges) == (100 if failure.is_charged or not failure.counts else 98)
    assert server.charged <= done.report["cost"] + DUST
    states = [row.state for row in folder.rows()]
    assert states.count("lost") == 2 * failure.counts
    folder.require_consistent()
