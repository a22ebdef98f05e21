"""The media stage of a build: for every word the media of each kind, cached or generated, many at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import attrs

from deckwright.builder.accounting import Accounting
from deckwright.builder.media import KINDS, MediaKind, Medium, MissingMedium
from deckwright.builder.media_chain import MediaChain
from deckwright.builder.plan import Plan
from deckwright.builder.progress import Progress, ProgressCallback
from deckwright.builder.provider_handles import ProviderHandle, provider_handles
from deckwright.builder.words import Word
from deckwright.builder.worker_pool import Job, WorkerPool
from deckwright.plugins import Plugins
from deckwright.providers.engine import Engine
from deckwright.providers.media import MediaRequest, MediaResult
from deckwright.registry import ProviderRegistry
from deckwright.store import Run

# More threads than this for one kind of media only wait for each other.
_MAX_THREADS = 128


class MediaStage:
    """One kind of media, for all words.

    Attributes:
        media: For each word its file, or None.
        missing: What words have to do without, by the word's index.
    """

    def __init__(
        self, chain: MediaChain, words: Sequence[Word], run: Run, on_progress: ProgressCallback
    ) -> None:
        self.chain = chain
        self.media: list[Medium | None] = [None] * len(words)
        self.missing: dict[int, MissingMedium] = {}
        self.seconds = 0.0
        self._words = words
        self._run = run
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._done = 0
        self._started = time.perf_counter()

    def jobs(self) -> Iterator[Job]:
        """Yield the work for each word."""
        self.report_progress()
        for index in range(len(self._words)):
            yield partial(self._fill, index)

    def report_progress(self, *, is_stopping: bool = False) -> None:
        """Report how many words are done."""
        label, total = self.chain.kind.label, len(self._words)
        self._on_progress(Progress(label, self._done, total, self._run.cost, is_stopping))

    def _fill(self, index: int) -> None:
        medium = self.chain.medium_for(self._words[index])
        if medium is None:
            return
        with self._lock:
            if isinstance(medium, MissingMedium):
                self.missing[index] = medium
            else:
                self.media[index] = medium
            self._done += 1
            self.seconds = time.perf_counter() - self._started
            self.report_progress()


@attrs.frozen
class MediaSet:
    """The media of a build."""

    stages: Mapping[str, MediaStage]  # by type, those that the pipeline has any provider of
    missing: tuple[MissingMedium, ...]  # by kind and in the order of the words

    def of_word(self, index: int) -> dict[str, Medium]:
        """Return the files of a word, by type."""
        return {type: medium for type, stage in self.stages.items() if (medium := stage.media[index])}

    def __iter__(self) -> Iterator[Medium]:
        return (medium for stage in self.stages.values() for medium in stage.media if medium)

    @property
    def handles(self) -> Iterator[ProviderHandle]:
        """The providers of all kinds."""
        return (handle for stage in self.stages.values() for handle in stage.chain.handles)


def generate_media(
    plan: Plan, registry: ProviderRegistry, run: Run, engine: Engine, on_progress: ProgressCallback
) -> MediaSet:
    """Generate the media of a plan that are not cached.

    Raises:
        KeyboardInterrupt: The user interrupted. What was in flight is finished and recorded.
        BuildError: The store or the engine cannot be used any more.
    """
    pool = WorkerPool()
    accounting = Accounting(plan, run, pool.stopping)
    observe = partial(_notify, threading.Lock(), registry.plugins)
    stages = {}
    for kind in KINDS:
        if handles := provider_handles(plan, registry, kind.type):
            chain = MediaChain(kind, handles, engine, accounting, observe, retry_failed=plan.retry_failed)
            stages[kind.type] = MediaStage(chain, plan.words, run, on_progress)
    queues = [(stage.jobs(), min(_MAX_THREADS, stage.chain.max_parallel)) for stage in stages.values()]
    try:
        pool.run(queues, on_interrupt=partial(_report_stopping, stages.values()))
    except KeyboardInterrupt:
        ready = sum(len(stage.media) - stage.media.count(None) for stage in stages.values())
        raise KeyboardInterrupt(
            f"The build was stopped. {ready:,} of {len(stages) * len(plan.words):,} sounds and pictures are saved."
            " Run the same command again to continue."
        ) from None
    missing = (item for kind in KINDS for item in _missing(kind, stages.get(kind.type), plan, registry))
    return MediaSet(stages, tuple(missing))


def _notify(lock: threading.Lock, plugins: Plugins, request: MediaRequest, result: MediaResult) -> None:
    with lock:  # plugins are called one at a time
        plugins.notify("media_generated", request=request, result=result)


def _report_stopping(stages: Iterable[MediaStage]) -> None:
    for stage in stages:
        stage.report_progress(is_stopping=True)


def _missing(
    kind: MediaKind, stage: MediaStage | None, plan: Plan, registry: ProviderRegistry
) -> list[MissingMedium]:
    if stage:
        return [item for _, item in sorted(stage.missing.items())]
    if any(failure.type == kind.type for failure in registry.failures):  # and so there is no provider of it
        return [MissingMedium(word, kind, reasons={}, failed=True) for word in plan.words]
    return []
