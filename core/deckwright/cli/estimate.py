"""`deckwright estimate`: what a build would cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from deckwright.cli.common import (
    budget_remarks,
    config_option,
    console,
    dollars,
    json_option,
    language_option,
    open_registry,
    pipeline_option,
    plain_table,
    print_json,
    show_problems,
    tell,
    words_argument,
)


@click.command("estimate", short_help="Say what a build would cost.")
@words_argument
@language_option
@config_option
@pipeline_option
@click.option("--online", is_flag=True, help="Ask services that tell their price for nothing.")
@json_option
def command(
    words: Path, language: str | None, config: Path | None, pipeline: str | None, online: bool, as_json: bool
) -> None:
    """Say what building a deck from WORDS would cost, and how many requests it takes.

    What is kept from builds before is not made, nor paid for, again, and does not count.

    Nothing is spent. Prices are estimates: what a service charges is known when it has. --online asks those
    services for a price that tell one without charging, such as Runware by a dry run.
    """
    from deckwright.builder.estimate import estimate_cost
    from deckwright.builder.plan import make_plan

    with open_registry(config) as registry:
        plan = make_plan(words, registry, language=language, pipeline=pipeline)
        estimate = estimate_cost(plan, registry, online=online)
        problems = [*registry.problems(), *registry.warnings]
    problems += [
        f"{found.type}.{found.instance}: {dollars(found.total or 0)} is above its {name} of {dollars(limit)}"
        for found in estimate.providers
        for name, limit in found.over.items()
    ]
    problems += [
        f"{found.type}.{found.instance}: {found.problem}" for found in estimate.providers if found.problem
    ]
    problems += budget_remarks(estimate)
    if as_json:
        # `place` is what programs know the position by.
        providers: list[dict[str, Any]] = [
            {"place": found.position, **attrs.asdict(found, filter=lambda field, _: field.name != "position")}
            for found in estimate.providers
        ]
        shown = {"words": len(plan.words), "kept": dict(estimate.cached)}
        shown |= {"expected": round(estimate.expected, 6), "most": round(estimate.most, 6)}
        print_json({**shown, "providers": providers, "problems": problems})
        return
    table = plain_table("type", "provider", "asked", "for", "requests", "each", "in all")
    for found in estimate.providers:
        asked = "first" if found.position == 0 else "then"
        counts = str(found.items), str(found.requests)
        table.add_row(found.type, found.instance, asked, *counts, dollars(found.each), dollars(found.total))
    console().print(table)
    show_problems(problems)
    if kept := [f"{count} {label}" for label, count in estimate.cached.items() if count]:
        tell(f"Kept from builds before: {', '.join(kept)}.")
    least = "at least " if any(found.total is None for found in estimate.providers) else ""
    tell(
        f"Expected: {least}about {dollars(estimate.expected)}, if those that are asked first have everything."
    )
    if estimate.most > estimate.expected:
        tell(f"If the dearest had to make them all: about {dollars(estimate.most)}.")
