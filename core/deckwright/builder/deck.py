"""The build: words to media, to notes, to a deck that is handed over, and a report of it all."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from deckwright.anki.note_type import note_type
from deckwright.anki.package import LazyPaths
from deckwright.builder.delivery import hand_over, require_a_target, rescued
from deckwright.builder.engine import started_engine
from deckwright.builder.media_chain import KINDS, Medium, Missing
from deckwright.builder.media_stage import Gathered, Progress, Tell, gather, today
from deckwright.builder.notes import Notes, escape
from deckwright.builder.plan import Plan, make_plan
from deckwright.builder.provider_handles import daily_limits
from deckwright.config.loader import Config
from deckwright.providers.deck import Deck
from deckwright.registry import ProviderRegistry
from deckwright.store import Run, Store


@attrs.frozen
class BuildReport:
    """What came of a build.

    Attributes:
        deck: The deck's name.
        outputs: Where it went: each target's instance, and the file it wrote, if it writes one.
        told: What a target says of it, by instance: how much was new, and such.
        words: How many words there were.
        repeated: How many more the list held that stood in it already.
        cards: How many cards the deck has; None where no target says.
        delivered: How many sounds, pictures and so on there are, by label, each of how many.
        sources: How many of them came from whom: by label, then instance.
        kept: How many of them were kept from builds before, by label.
        cost: What this build has cost in US dollars, as far as its providers say.
        costs: The same by provider, of those that cost anything.
        missing: What words have to do without, and why.
        seconds: How long each stage took.
        problems: Providers, plugins and targets that do not work, whether or not it showed in the deck.
        warnings: What is odd about the configuration or worth knowing of the plugins.
    """

    deck: str
    outputs: dict[str, Path | None]
    told: dict[str, str]
    words: int
    repeated: int
    cards: int | None
    delivered: dict[str, tuple[int, int]]
    sources: dict[str, dict[str, int]]
    kept: dict[str, int]
    cost: float
    costs: dict[str, float]
    missing: tuple[Missing, ...]
    seconds: dict[str, float]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def failed(self) -> tuple[Missing, ...]:
        """Those of `missing` that are faults."""
        return tuple(missing for missing in self.missing if missing.failed)


def build_deck(
    words: str | os.PathLike[str] | Iterable[Any],
    *,
    language: str | None = None,
    config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    deck: str | None = None,
    pipeline: str | None = None,
    budget: float | None = None,
    retry_failed: bool = False,
    plugins: Iterable[object] = (),
    progress: Tell | None = None,
) -> BuildReport:
    """Build a deck from words.

    Args:
        words: The path of a word list; or the words themselves, as text or as dicts with `word` and
            `translation`, `reading`, `example`, `tags`, `language`, and further columns.
        language: The language of the words: a tag such as `"es"`, or its English name. By default each word's
            own, then the configuration's, then what the file's name tells.
        config: As for `ProviderRegistry.from_config`.
        output: The file to write; by default it is named for the deck.
        deck: The deck's name in Anki; by default it is named for the word list.
        pipeline: Which providers the build may see; by default those of `vocabulary`.
        budget: How many US dollars the build may spend; by default as the configuration says.
        retry_failed: Ask again for what providers refused in a build before, where a word failed of it.
        plugins: Plugins handed over by the program, beside those that are found.
        progress: Called as the build goes on, from several threads: one at a time for each stage, but for the call
            that says that it stops.

    Returns:
        The report. Media that no provider delivers are in it; the deck is built without them.

    Raises:
        ConfigError: The configuration is wrong.
        DataError: The words are wrong, or cannot be read; the message says where and why.
        BuildError: The deck cannot be handed over, or what is made cannot be kept.
        KeyboardInterrupt: The user wants no more. What was in flight is finished and kept first.
    """
    with ProviderRegistry.from_config(config, plugins=plugins) as registry:
        plan = make_plan(
            words,
            registry,
            language=language,
            output=output,
            deck=deck,
            pipeline=pipeline,
            budget=budget,
            retry_failed=retry_failed,
        )
        return closed(registry, run(plan, registry, progress=progress))


def closed(registry: ProviderRegistry, report: BuildReport) -> BuildReport:
    """Close the providers of a build; return its report with those that could not be closed."""
    registry.close()
    return attrs.evolve(report, problems=tuple(dict.fromkeys((*report.problems, *registry.problems()))))


def run(plan: Plan, registry: ProviderRegistry, *, progress: Tell | None = None) -> BuildReport:
    """Gather the media, make the notes, hand the deck over; errors as in `build_deck`."""
    tell = progress or (lambda progress: None)
    require_a_target(plan, registry)
    with (
        Store(plan.store) as store,
        Run(store, plan.deck) as run,
        started_engine(plan.engine, registry) as engine,
    ):
        if plan.engine:
            tell(Progress("workers", 1, 1))
        found = gather(plan, registry, run, engine, tell)
        started = time.perf_counter()
        deck = _deck(plan, found)
        handed = _handed_over(deck, plan.providers["sync"], partial(_tell_deck, tell, run))
        found.seconds["deck"] = time.perf_counter() - started
        costs = store.ledger.spent_by_provider(run.id)
        spent_today = store.ledger.spent_by_provider(since=today())
    labels = {kind.type: kind.label for kind in KINDS}
    broken = {failure.type for failure in registry.failures}
    return BuildReport(
        deck=plan.deck,
        outputs=handed.outputs,
        told=handed.told,
        words=len(plan.words),
        repeated=plan.repeated,
        cards=handed.cards,
        delivered={
            label: _delivered(found.media.get(type, [None] * len(plan.words)))
            for type, label in labels.items()
            if type in found.media or type in broken
        },
        sources={labels[type]: _sources(media) for type, media in found.media.items()},
        kept={labels[type]: _kept(media) for type, media in found.media.items()},
        cost=sum(costs.values()),
        costs={name: cost for name, cost in costs.items() if cost},
        missing=tuple(found.missing),
        seconds=found.seconds,
        problems=(*handed.refused, *_hidden(found), *registry.problems()),
        warnings=(
            *plan.warnings,
            *_dear(plan, registry, spent_today),
            *registry.warnings,
            *registry.plugins.remarks(),
        ),
    )


@attrs.define
class _Handed:
    """What the targets have said to the deck."""

    outputs: dict[str, Path | None] = attrs.field(factory=dict)
    told: dict[str, str] = attrs.field(factory=dict)
    refused: list[str] = attrs.field(factory=list)
    cards: int | None = None


def _handed_over(deck: Deck, targets: Mapping[str, Any], tell: Callable[[int, int], None]) -> _Handed:
    """Hand the deck to every target.

    Raises:
        BuildError: None of them takes it.
    """
    handed = _Handed()
    for index, (instance, provider) in enumerate(targets.items()):
        tell(index, len(targets))
        result = hand_over(deck, provider)
        if result.success or result.processed_count:
            handed.outputs[instance] = result.metadata.get("path")
            if said := result.metadata.get("told"):
                handed.told[instance] = str(said)
            handed.cards = result.metadata.get("cards", handed.cards)
        if not result.success:
            what = "could be handed only in part" if instance in handed.outputs else "could not be handed"
            handed.refused.append(f"The deck {what} to {instance}: {result.error_message}")
    tell(len(targets), len(targets))
    if not handed.outputs:
        raise rescued(deck, handed.refused)
    return handed


def _tell_deck(tell: Tell, run: Run, done: int, total: int) -> None:
    tell(Progress("deck", done, total, run.cost))


def _deck(plan: Plan, found: Gathered) -> Deck:
    media = [medium for of_type in found.media.values() for medium in of_type if medium]
    credits = sorted({medium.attribution for medium in media} - {""})
    count = len(plan.words)
    lines = [f"{count} {'word' if count == 1 else 'words'}, made with Deckwright.", *credits]
    return Deck(
        name=plan.deck,
        is_named=plan.is_named,
        note_type=note_type(),
        notes=Notes(plan.deck, plan.words, found.of_word),
        media=LazyPaths(dict.fromkeys(medium.file for medium in media)),
        output=plan.output,
        description="<br>".join(map(escape, lines)),
    )


def _hidden(found: Gathered) -> Iterator[str]:
    """Say who was given up or is at fault, where nothing that is missing shows it: others may have stepped in."""
    shown = {(item.kind.type, instance) for item in found.missing if item.failed for instance in item.reasons}
    for type, instance in {**found.out, **found.faults}:
        key = (type, instance)
        if key in found.out and key not in shown:
            yield f"{type}.{instance} was asked no more: {found.out[key]}"
        elif key not in shown:
            first, times = found.faults[key][0], len(found.faults[key])
            yield f"{type}.{instance} failed {f'{times} times, first' if times > 1 else 'once'}: {first}"


def _dear(plan: Plan, registry: ProviderRegistry, spent_today: Mapping[str, float]) -> Iterator[str]:
    """Say of which provider the user wanted to be warned."""
    for type, providers in plan.providers.items():
        for instance, provider in providers.items():
            most = daily_limits(getattr(provider, "config", {})).get("warn_threshold_usd")
            spent = spent_today.get(registry.name_of(type, instance), 0.0)
            if most is not None and spent > most:
                yield f"{instance} has cost ${spent:,.2f} today, which is above its warn_threshold_usd of ${most:,.2f}."


def _sources(media: list[Medium | None]) -> dict[str, int]:
    return dict(Counter(medium.instance for medium in media if medium))


def _kept(media: list[Medium | None]) -> int:
    return sum(medium is not None and not medium.is_new for medium in media)


def _delivered(media: list[Medium | None]) -> tuple[int, int]:
    return len(media) - media.count(None), len(media)
