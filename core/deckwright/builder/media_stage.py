"""Gathering the media of a build: what is kept already, and the rest from its providers, many at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, cast

import attrs

from deckwright.builder.media_chain import KINDS, Kind, MediaMaker, Medium, Missing
from deckwright.builder.plan import Plan
from deckwright.builder.provider_handles import Source, sources_of
from deckwright.builder.worker_pool import Crew, Job
from deckwright.errors import ProviderError
from deckwright.providers.engine import Engine
from deckwright.registry import ProviderRegistry
from deckwright.store import Limit, Run

logger = logging.getLogger(__name__)

# More threads than this for one kind of media wait for each other more than for anybody else.
_MOST_AT_ONCE = 128


@attrs.frozen
class Progress:
    """How far a build is.

    Attributes:
        stage: What is being done: `"workers"` (an engine gets them ready), `"sounds"` and `"pictures"` (made at the
            same time), `"deck"`.
        done: How much of it is done.
        total: How much there is.
        cost: What the build has cost so far, in US dollars.
        is_stopping: Whether it was interrupted, and only finishes what is in flight.
    """

    stage: str
    done: int
    total: int
    cost: float = 0.0
    is_stopping: bool = False


Tell = Callable[[Progress], None]


@attrs.define
class Gathered:
    """The media of a build.

    Attributes:
        media: By type, for each word its finished file, or None.
        missing: What words have to do without, in the order of the words.
        seconds: By the kind's label, how long it took.
        out: By type and instance, the providers that were asked no more, and why.
        faults: By type and instance, what providers did that none should.
    """

    media: dict[str, list[Medium | None]] = attrs.field(factory=dict)
    missing: list[Missing] = attrs.field(factory=list)
    seconds: dict[str, float] = attrs.field(factory=dict)
    out: dict[tuple[str, str], ProviderError] = attrs.field(factory=dict)
    faults: dict[tuple[str, str], list[ProviderError]] = attrs.field(factory=dict)

    def of_word(self, index: int) -> dict[str, Medium]:
        """Return the finished files of a word, by type."""
        return {type: found for type, of_type in self.media.items() if (found := of_type[index])}


def today() -> str:
    """Return the day that money spent now counts for, as an ISO date."""
    return datetime.now().astimezone().date().isoformat()


def limits_of(plan: Plan, run: Run) -> list[Limit]:
    """Return what a build must not spend, beside the limits of each provider."""
    limits = []
    if plan.budget is not None:
        limits.append(
            Limit("budget of this build", plan.budget, "--budget, or budget in [build]", run=run.id)
        )
    if plan.daily_budget is not None:
        limits.append(Limit("daily budget", plan.daily_budget, "daily_budget in [build]", since=today()))
    return limits


def gather(plan: Plan, registry: ProviderRegistry, run: Run, engine: Engine, tell: Tell) -> Gathered:
    """Gather the media of a plan.

    Raises:
        KeyboardInterrupt: The user wants no more. What was in flight is finished and kept.
        BuildError: The store or the engine cannot be used any more.
    """
    crew = Crew()
    sources = {
        kind.type: sources_of(registry, plan.providers, kind.type, plan.deck, today()) for kind in KINDS
    }
    at_once = {
        source.key: max(1, engine.at_once(*source.key, source.at_once))
        for of_type in sources.values()
        for source in of_type
    }
    maker = MediaMaker(
        sources,
        run,
        engine.generate,
        at_once=at_once,
        limits=limits_of(plan, run),
        observe=lambda request, result: registry.plugins.notify(
            "media_generated", request=request, result=result
        ),
        is_stopping=lambda: crew.is_stopping,
        retry_failed=plan.retry_failed,
    )
    found = Gathered(out=maker.out, faults=maker.faults)
    missing: list[tuple[int, int, Missing]] = []
    # Of a type whose providers all failed, nothing can be made, and the report is to say so.
    broken = {failure.type for failure in registry.failures}
    stages: list[_Stage] = []
    teams = []
    for place, kind in enumerate(KINDS):
        if sources[kind.type]:
            stage = _Stage(kind, plan, maker, run, tell)
            stages.append(stage)
            found.media[kind.type] = stage.media
            teams.append((stage.jobs(), _threads_for(sources[kind.type], at_once)))
        elif kind.type in broken:
            missing += [
                (place, index, Missing(word, kind, reasons={}, failed=True))
                for index, word in enumerate(plan.words)
            ]
    try:
        crew.work(teams, when_interrupted=partial(_show_stopping, stages))
    except KeyboardInterrupt:
        ready = sum(len(stage.media) - stage.media.count(None) for stage in stages)
        raise KeyboardInterrupt(
            f"The build was stopped. {ready:,} of {len(stages) * len(plan.words):,} sounds and pictures are kept:"
            " the same command goes on from there."
        ) from None
    for source in (source for of_type in sources.values() for source in of_type if source.fault):
        found.faults.setdefault(source.key, []).append(cast("ProviderError", source.fault))
    for place, kind in enumerate(KINDS):
        for stage in stages:
            if stage.kind is kind:
                missing += [(place, index, item) for index, item in stage.missing]
                found.seconds[kind.label] = stage.seconds
    found.missing = [item for *_, item in sorted(missing, key=lambda each: each[:2])]
    return found


def _show_stopping(stages: list[_Stage]) -> None:
    for stage in stages:
        stage.show(is_stopping=True)


def _threads_for(sources: list[Source], at_once: dict[tuple[str, str], int]) -> int:
    """Return how many words to work at, so that every provider is kept busy while others are asked for the rest."""
    return min(_MOST_AT_ONCE, sum(at_once[source.key] for source in sources))


class _Stage:
    """One kind of media, for all words."""

    def __init__(self, kind: Kind, plan: Plan, maker: MediaMaker, run: Run, tell: Tell) -> None:
        self.kind = kind
        self.media: list[Medium | None] = [None] * len(plan.words)
        self.missing: list[tuple[int, Missing]] = []
        self.seconds = 0.0
        self._plan = plan
        self._maker = maker
        self._run = run
        self._tell = tell
        self._lock = threading.Lock()
        self._done = 0
        self._started = time.perf_counter()

    def jobs(self) -> Iterator[Job]:
        """Yield the work for each word."""
        self.show()
        for index in range(len(self._plan.words)):
            yield partial(self._make, index)

    def show(self, *, is_stopping: bool = False) -> None:
        """Tell how far it is."""
        total = len(self._plan.words)
        self._tell(Progress(self.kind.label, self._done, total, self._run.cost, is_stopping))

    def _make(self, index: int) -> None:
        made: Any = self._maker.make(self._plan.words[index], self.kind)
        if made is None:
            return
        with self._lock:
            if isinstance(made, Missing):
                self.missing.append((index, made))
            else:
                self.media[index] = made
            self._done += 1
            self.seconds = time.perf_counter() - self._started
            self.show()
