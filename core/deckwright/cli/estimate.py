"""`deckwright estimate`: what a build would cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from deckwright.cli.options import (
    config_option,
    json_option,
    language_option,
    pipeline_option,
    words_argument,
)
from deckwright.cli.output import console, dollars, echo, plain_table, print_json, show
from deckwright.cli.session import open_registry
from deckwright.diagnostics import Diagnostic

if TYPE_CHECKING:
    from deckwright.builder.estimate import Estimate


@click.command("estimate", short_help="Show what a build would cost.")
@words_argument
@language_option
@config_option
@pipeline_option
@click.option("--online", is_flag=True, help="Ask services that state their price without charging.")
@json_option
def command(
    words: Path, language: str | None, config: Path | None, pipeline: str | None, online: bool, as_json: bool
) -> None:
    """Show what building a deck from WORDS would cost, and how many requests it takes.

    Sounds and pictures that are cached are not paid for again, and do not count.

    Nothing is spent. Prices are estimates until a service has charged. --online asks services that state a
    price without charging, such as Runware by a dry run.
    """
    from deckwright.builder.estimate import estimate_cost
    from deckwright.builder.plan import make_plan

    with open_registry(config) as registry:
        plan = make_plan(words, registry, language=language, pipeline=pipeline)
        estimate = estimate_cost(plan, registry, online=online)
        diagnostics = [*registry.problems(), *registry.warnings]
    diagnostics += [*_warnings(estimate), *budget_warnings(estimate)]
    if as_json:
        # `place` is what programs know the position by.
        providers: list[dict[str, Any]] = [
            {"place": found.position, **attrs.asdict(found, filter=lambda field, _: field.name != "position")}
            for found in estimate.providers
        ]
        shown = {"words": len(plan.words), "kept": dict(estimate.cached)}
        shown |= {"expected": round(estimate.expected, 6), "most": round(estimate.most, 6)}
        print_json({**shown, "providers": providers, "problems": list(map(str, diagnostics))})
        return
    table = plain_table("type", "provider", "asked", "for", "requests", "each", "in all")
    for found in estimate.providers:
        turn = "first" if found.position == 0 else "then"
        counts = str(found.items), str(found.requests)
        table.add_row(found.type, found.instance, turn, *counts, dollars(found.each), dollars(found.total))
    console().print(table)
    show(diagnostics)
    if kept := [f"{count} {label}" for label, count in estimate.cached.items() if count]:
        echo(f"Cached by earlier builds: {', '.join(kept)}.")
    least = "at least " if any(found.total is None for found in estimate.providers) else ""
    expected = f"{least}about {dollars(estimate.expected)}"
    echo(f"Expected cost: {expected}, if the first provider of each type finds every word.")
    if estimate.most > estimate.expected:
        echo(f"If the most expensive had to make them all: about {dollars(estimate.most)}.")


def _warnings(estimate: Estimate) -> Iterator[Diagnostic]:
    """Yield a warning for every limit of a provider that is too low, and for every cost that is not known."""
    for found in estimate.providers:
        where = f"{found.type}.{found.instance}"
        for name, limit in found.over.items():
            message = f"{dollars(found.total or 0)} is above its {name} of {dollars(limit)}"
            yield Diagnostic("warning", where, message)
        if found.problem:
            yield Diagnostic("warning", where, found.problem)


def budget_warnings(estimate: Estimate) -> list[Diagnostic]:
    """Return a warning for every budget that a build might use up."""
    return [
        Diagnostic(
            "warning",
            "",
            f"It may cost about {dollars(estimate.most)}, and the {name} leaves {dollars(left)}: "
            "the build may stop early.",
        )
        for name, left in estimate.left.items()
        if estimate.most > left
    ]
