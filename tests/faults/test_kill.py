"""Builds that are killed at any moment, 200 times in a row, and what becomes of the decks and the money."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest
from faults.build_processes import BuildFolder, Painters, Speakers, ended, kill, require_whole, wait_until

from deckwright.testing.servers import RunwareServer

KILLS = int(os.environ.get("DECKWRIGHT_KILLS", "200"))
SEED = int(os.environ.get("DECKWRIGHT_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
AT_ONCE = 8
WORDS = 20
SHARED = 4
LATENCY = 0.03
# On a machine that has become slower, none would ever come to its end.
MOST_IN_A_ROW = 12

PROVIDERS = """
[providers.audio.forvo]
pipelines = ["*"]
api_key = "forvo-key"
base_url = "{speakers.base_url}"
max_concurrent = 8
timeout = 5

[providers.image.openai]
pipelines = ["openai"]
api_key = "openai-key"
base_url = "{painters.base_url}"
prompt = "{{word}}"
output_format = "webp"
cost_per_image = 0.01
max_concurrent = 8
timeout = 5

[providers.image.runware]
pipelines = ["runware"]
api_key = "runware-key"
base_url = "{runware.base_url}"
prompt = "{{word}}"
output_format = "WEBP"
max_concurrent = 8
timeout = 2
"""


def words_of(number: int) -> list[str]:
    """Return the words of a deck; some of them are in another of the same providers, too."""
    own = [f"palabra {number} {place}" for place in range(WORDS - SHARED)]
    return [*own, *(f"palabra {number % 2} común {place}" for place in range(SHARED))]


class Services:
    """Everything that is paid for."""

    def __init__(self) -> None:
        self.speakers = Speakers(latency=LATENCY)
        self.painters = Painters(latency=LATENCY)
        self.runware = RunwareServer(latency=LATENCY, balance=1e6)


@pytest.fixture
def services(folder: BuildFolder) -> Iterator[Services]:
    services = Services()
    with services.speakers, services.painters, services.runware:
        folder.configure(PROVIDERS.format(**vars(services)))
        yield services


@attrs.define
class Hammer:
    """Builds one deck after the other, and kills most of the builds, each at a random moment.

    Attributes:
        folder: Where.
        seed: What makes the moments random.
        name: What the files of its decks begin with.
        number: The deck that it is at.
        killed: How many builds it has killed, and when.
        usual: Seconds that a build takes which is not killed, by the providers that it asks.
        in_a_row: How many builds of this deck it has killed.
    """

    folder: BuildFolder
    seed: int
    name: str = "deck"
    number: int = 0
    killed: Counter[str] = attrs.field(factory=Counter)
    usual: dict[int, float] = attrs.field(factory=dict)
    in_a_row: int = 0

    def start(self) -> subprocess.Popen[str]:
        """Start to build the deck that it is at."""
        words = self.folder.words(f"{self.name} {self.number}", words_of(self.number))
        pipeline = ("openai", "runware")[self.number % 2]
        return self.folder.start(words, "--pipeline", pipeline, "--deck", f"Deck {self.number}")

    def finish(self, count: int) -> None:
        """Build so many decks to their end."""
        for _ in range(count):
            began = time.monotonic()
            self._completed(self.start(), began)

    def strike(self, kills: int) -> None:
        """Kill so many builds."""
        chance = random.Random(self.seed)
        while self.killed.total() < kills:
            if self.in_a_row == MOST_IN_A_ROW:
                self.finish(1)
            began = time.monotonic()
            process = self.start()
            is_late = chance.random() < 0.1
            if is_late:
                self._wait_for_the_deck(process)
            try:
                process.wait(chance.uniform(0, 0.01 if is_late else self._longest))
            except subprocess.TimeoutExpired:
                kill(process)
                process.communicate()
                self.killed["while the deck was written" if is_late else "at any moment"] += 1
                self.in_a_row += 1
            else:
                self._completed(process, began)

    @property
    def _longest(self) -> float:
        # To ask what became of tasks that never arrived takes the provider of Runware longer.
        return self.usual[self.number % 2] + self.number % 2

    def _completed(self, process: subprocess.Popen[str], began: float) -> None:
        """Go on to the next deck: this one is whole."""
        done = ended(process)
        if not self.in_a_row:  # it had everything to do
            self.usual[self.number % 2] = time.monotonic() - began
        assert done.code == 0, f"{done.out}\n{done.err}"
        require_whole(self.folder.decks / f"{self.name} {self.number}.apkg", words_of(self.number))
        self.number += 1
        self.in_a_row = 0

    def _wait_for_the_deck(self, process: subprocess.Popen[str]) -> None:
        """Wait until a build writes its deck, or is over."""
        before = set(self.folder.decks.iterdir())
        wait_until(lambda: process.poll() is not None or set(self.folder.decks.iterdir()) - before)


def test_after_kills_nothing_is_lost_and_nothing_is_paid_twice(
    folder: BuildFolder, services: Services
) -> None:
    print(f"\nDECKWRIGHT_SEED={SEED} DECKWRIGHT_KILLS={KILLS}")
    hammer = Hammer(folder, SEED)
    # The first builds find nothing compiled, or in memory; so the next ones are measured.
    hammer.finish(4)
    began = time.monotonic()
    hammer.strike(KILLS)
    seconds = time.monotonic() - began
    print(f"killed {dict(hammer.killed)} in {seconds:.0f} s; {hammer.number - 4} decks were whole meanwhile")
    hammer.finish(2)
    folder.require_consistent()
    assert len(list(folder.decks.iterdir())) == hammer.number
    _require_sums(folder, services)


def test_of_two_builds_of_one_deck_at_once_either_may_be_killed(
    folder: BuildFolder, services: Services
) -> None:
    kills = KILLS // 10
    print(f"\nDECKWRIGHT_SEED={SEED} DECKWRIGHT_KILLS={KILLS}, of which {kills} each")
    hammers = [Hammer(folder, SEED + place, name) for place, name in enumerate(("one", "two"))]
    for hammer in hammers:
        hammer.finish(2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda hammer: hammer.strike(kills), hammers))
        list(pool.map(lambda hammer: hammer.finish(2), hammers))
    folder.require_consistent()
    assert len(list(folder.decks.iterdir())) == sum(hammer.number for hammer in hammers)
    _require_sums(folder, services)


def _require_sums(folder: BuildFolder, services: Services) -> None:
    """Make sure that ledger and servers agree on every item, and that each was paid once."""
    speakers, painters, runware = services.speakers, services.painters, services.runware
    rows = folder.rows()
    kept = {
        key: (word, provider)
        for key, word, provider in folder.query("SELECT key, content, provider FROM media")
    }
    answered, lost = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    costs = defaultdict(list)
    for row in rows:
        word, provider = kept[row.key]
        assert provider == row.provider
        (answered if row.state == "answered" else lost)[provider, word] += 1
        costs[provider, word].append(row.cost)
    in_flight = Counter((row.provider, row.run) for row in rows if row.state == "lost")
    assert max(in_flight.values(), default=0) <= AT_ONCE

    # Runware: a task is known by its id, so that it is never done twice.
    assert set(runware.charged) == {row.id for row in rows if row.provider == "runware"}
    assert set(runware.charged.values()) == {1}
    assert all(row.state == "answered" for row in rows if row.provider == "runware")
    assert abs(runware.spent - sum(row.cost for row in rows if row.provider == "runware")) < 1e-6

    # OpenAI: what was in flight at a kill is paid again, and only that.
    charges = defaultdict(list)
    for word, dollars in painters.charges:
        charges[word].append(dollars)
    for word, amounts in charges.items():
        assert answered["openai", word] == 1
        assert len(amounts) <= 1 + lost["openai", word], word
        assert sum(amounts) <= sum(costs["openai", word]) + 1e-9, word
    assert {word for provider, word in answered if provider == "openai"} == set(charges)

    # Forvo: once for each deck, apart from what was in flight.
    for word, searches in speakers.searches.items():
        assert answered["forvo", word] <= searches <= answered["forvo", word] + lost["forvo", word], word
    decks_with = Counter(word for word, provider in kept.values() if provider == "forvo")
    assert {word: answered["forvo", word] for word in decks_with} == decks_with

    again = sum(map(len, charges.values())) - len(charges)
    print(
        f"runware {len(runware.charged)} pictures, each paid once; openai {len(charges)} and {again} paid again,"
        f" of {sum(n for (name, _), n in lost.items() if name == 'openai')} in flight at a kill;"
        f" forvo {sum(speakers.searches.values())} searches for {len(decks_with)} words"
    )
