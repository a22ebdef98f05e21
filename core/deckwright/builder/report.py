"""The report of a build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from deckwright.builder.cost_limits import cost_limits
from deckwright.builder.delivery import Delivery
from deckwright.builder.media import KINDS, MissingMedium
from deckwright.builder.media_stage import MediaSet
from deckwright.builder.plan import Plan
from deckwright.diagnostics import Diagnostic
from deckwright.errors import ProviderError
from deckwright.registry import ProviderRegistry


@attrs.frozen
class BuildReport:
    """What a build has done.

    Attributes:
        deck: The deck's name.
        outputs: Where it went: each target's instance, and the file that it wrote, if it writes one.
        summaries: What a target says about it, by instance, such as how many notes were new.
        words: How many words there were.
        repeated: How many more the list held that are among them already.
        cards: How many cards the deck has; None where no target says.
        delivered: How many sounds, pictures and so on there are, by label, and of how many words.
        sources: How many of them each provider made: by label, then instance.
        cached: How many of them were cached from builds before, by label.
        costs: What this build has cost in US dollars, by provider, as far as they say.
        missing: What words have to do without, and why.
        seconds: How long each stage took.
        problems: Providers, plugins and targets that do not work, whether or not the deck shows it.
        warnings: What is odd about the configuration or the plugins.
    """

    deck: str
    outputs: dict[str, Path | None]
    summaries: dict[str, str]
    words: int
    repeated: int
    cards: int | None
    delivered: dict[str, tuple[int, int]]
    sources: dict[str, dict[str, int]]
    cached: dict[str, int]
    costs: dict[str, float]
    missing: tuple[MissingMedium, ...]
    seconds: dict[str, float]
    problems: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]

    @property
    def cost(self) -> float:
        """What this build has cost in US dollars, as far as its providers say."""
        return sum(self.costs.values())

    @property
    def failed(self) -> tuple[MissingMedium, ...]:
        """Those of `missing` that are failures."""
        return tuple(item for item in self.missing if item.failed)


def make_report(
    plan: Plan,
    registry: ProviderRegistry,
    media: MediaSet,
    delivery: Delivery,
    costs: Mapping[str, float],
    costs_today: Mapping[str, float],
) -> BuildReport:
    """Return the report of a build; costs are those of this build and of this day, by provider."""
    delivered: dict[str, tuple[int, int]] = {}
    sources: dict[str, dict[str, int]] = {}
    cached: dict[str, int] = {}
    times: dict[str, float] = {}
    for kind in KINDS:
        if stage := media.stages.get(kind.type):
            files = [medium for medium in stage.media if medium]
            delivered[kind.label] = len(files), len(plan.words)
            sources[kind.label] = dict(Counter(medium.instance for medium in files))
            cached[kind.label] = sum(not medium.is_new for medium in files)
            times[kind.label] = stage.seconds
        elif any(item.kind == kind for item in media.missing):
            delivered[kind.label] = 0, len(plan.words)
    return BuildReport(
        deck=plan.deck,
        outputs=delivery.outputs,
        summaries=delivery.summaries,
        words=len(plan.words),
        repeated=plan.repeated,
        cards=delivery.cards,
        delivered=delivered,
        sources=sources,
        cached=cached,
        costs={name: cost for name, cost in costs.items() if cost},
        missing=media.missing,
        seconds={**times, "deck": delivery.seconds},
        problems=(*delivery.problems, *_unseen_problems(media), *registry.problems()),
        warnings=(
            *plan.warnings,
            *_exceeded_thresholds(media, costs_today),
            *registry.warnings,
            *registry.plugins.notes(),
        ),
    )


def _unseen_problems(media: MediaSet) -> Iterator[Diagnostic]:
    """Report the providers that failed where no missing file shows it, since another provider had it."""
    seen = {(item.kind.type, instance) for item in media.missing if item.failed for instance in item.reasons}
    for handle in media.handles:
        type, instance = handle.ref.type, handle.ref.instance
        defects = [*handle.breaker.defects, *filter(None, [handle.cache_key_error])]
        if (type, instance) in seen:
            continue
        if handle.breaker.disabled:
            yield _problem(f"{type}.{instance}", "was disabled", handle.breaker.disabled)
        elif defects:
            times = f"{len(defects)} times, first" if len(defects) > 1 else "once"
            yield _problem(f"{type}.{instance}", f"failed {times}", defects[0])


def _problem(where: str, what: str, error: ProviderError) -> Diagnostic:
    return Diagnostic("error", where, f"{what}: {error.message}", error.hint or "")


def _exceeded_thresholds(media: MediaSet, costs_today: Mapping[str, float]) -> Iterator[Diagnostic]:
    """Warn of each provider that has cost more than its `warn_threshold_usd`."""
    for handle in media.handles:
        threshold = cost_limits(handle.provider).get("warn_threshold_usd")
        cost = costs_today.get(handle.ref.name, 0.0)
        if threshold is not None and cost > threshold:
            message = f"has cost ${cost:,.2f} today, more than its warn_threshold_usd of ${threshold:,.2f}"
            yield Diagnostic("warning", f"{handle.ref.type}.{handle.ref.instance}", message)
