"""The build: from words to media, to notes, to a deck that is delivered, and a report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from deckwright.builder.delivery import deliver, require_target
from deckwright.builder.engine import started_engine
from deckwright.builder.media_stage import generate_media
from deckwright.builder.notes import make_deck
from deckwright.builder.plan import Plan, make_plan
from deckwright.builder.progress import Progress, ProgressCallback
from deckwright.builder.report import BuildReport, make_report
from deckwright.config.loader import Config
from deckwright.registry import ProviderRegistry
from deckwright.store import Run, Store, current_day


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
    progress: ProgressCallback | None = None,
) -> BuildReport:
    """Build a deck from words.

    Args:
        words: The path of a word list; or the words themselves, as text or as dicts with `word` and
            `translation`, `reading`, `example`, `tags`, `language`, and extra columns.
        language: The language of words that have none of their own: a tag such as `"es"`, or its English name. By
            default that of the configuration, or of the file's name.
        config: As for `ProviderRegistry.from_config`.
        output: The file to write; by default it is named for the deck.
        deck: The deck's name in Anki; by default it is named for the word list.
        pipeline: Which providers the build may use; by default those of `vocabulary`.
        budget: How many US dollars the build may spend; by default as configured.
        retry_failed: Ask again for what providers refused in a build before, where a word failed because of it.
        plugins: Plugins of the program's own, beside those that are found.
        progress: Called as the build goes on, from several threads: one at a time for each stage, except for the call
            that reports that it stops.

    Returns:
        The report. It lists the media that no provider has; the deck is built without them.

    Raises:
        ConfigError: The configuration is wrong.
        DataError: The words are wrong, or cannot be read; the message says where and why.
        BuildError: The deck cannot be delivered, or what was generated cannot be saved.
        KeyboardInterrupt: The user interrupted. What was in flight is finished and saved first.
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
        return close_registry(registry, run_plan(plan, registry, on_progress=progress))


def run_plan(
    plan: Plan, registry: ProviderRegistry, *, on_progress: ProgressCallback | None = None
) -> BuildReport:
    """Generate the media, make the notes, deliver the deck; errors as in `build_deck`."""
    on_progress = on_progress or (lambda progress: None)
    require_target(plan, registry)
    with (
        Store(plan.store) as store,
        Run(store, plan.deck) as run,
        started_engine(plan.engine, registry) as engine,
    ):
        if plan.engine:
            on_progress(Progress("workers", 1, 1))
        media = generate_media(plan, registry, run, engine, on_progress)
        delivery = deliver(make_deck(plan, media), plan.providers["sync"], on_progress, run.cost)
        costs = store.ledger.costs(run=run.id)
        costs_today = store.ledger.costs(since=current_day())
    return make_report(plan, registry, media, delivery, costs, costs_today)


def close_registry(registry: ProviderRegistry, report: BuildReport) -> BuildReport:
    """Close the providers of a build; return its report with those that could not be closed."""
    registry.close()
    return attrs.evolve(report, problems=tuple(dict.fromkeys((*report.problems, *registry.problems()))))
