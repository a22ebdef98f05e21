"""The report of a build, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import click

from deckwright.builder.failures import Failure, failures_of
from deckwright.builder.media import KINDS
from deckwright.cli.output import console, dollars, echo, plain_table, show

if TYPE_CHECKING:
    from deckwright.builder.media import MissingMedium
    from deckwright.builder.plan import Plan
    from deckwright.builder.report import BuildReport
    from deckwright.builder.words import Word


def extra_columns(words: list[Word]) -> list[str]:
    """Return the extra columns of a word list: one of them may be a known one, misspelled."""
    return list(dict.fromkeys(name for word in words for name in word.extra))


def show_report(report: BuildReport, plan: Plan) -> None:
    """Print the report of a build."""
    from rich.table import Table

    # Where several were asked, who has delivered is worth knowing, also when it was one alone.
    chains = {kind.label for kind in KINDS if len(plan.providers.get(kind.type, ())) > 1}
    out = console()
    out.print(report.deck, style="bold")
    table = Table(show_header=False)
    table.add_row("words", count_of(report.words, report.repeated))
    if report.cards is not None:
        table.add_row("cards", str(report.cards))
    for label, (count, total) in report.delivered.items():
        whose = report.sources.get(label, {})
        details = (
            [f"{instance} {its}" for instance, its in whose.items()]
            if label in chains or len(whose) > 1
            else []
        )
        if cached := report.cached.get(label):
            details.append(f"{cached} cached")
        table.add_row(label, f"{count} of {total}{_bracketed(details)}")
    table.add_row("failed", str(len(report.failed)))
    if report.cost:
        by = ", ".join(f"{name} {dollars(cost)}" for name, cost in report.costs.items())
        table.add_row("cost", f"{dollars(report.cost)} ({by})")
    out.print(table)
    if extra := extra_columns(plan.words):
        echo(f"Extra columns shown on the cards: {', '.join(extra)}")
    _show_missing(report.missing)
    _show_failures(failures_of(report.missing))
    show([*report.problems, *report.warnings])
    for instance, path in report.outputs.items():
        summary = f" ({report.summaries[instance]})" if instance in report.summaries else ""
        where = f"is in {click.style(path, bold=True)}" if path else f"went to {instance}"
        echo(f"The deck {where}{summary}{'' if path else '.'}")


def _bracketed(remarks: list[str]) -> str:
    return f" ({', '.join(remarks)})" if remarks else ""


def count_of(words: int, repeated: int) -> str:
    """Return the number of words, with what the list held twice."""
    return f"{words} (and {repeated} repeated)" if repeated else str(words)


def _show_missing(missing: tuple[MissingMedium, ...]) -> None:
    """Say of which words no provider has something, with a few of them as examples."""
    for label in dict.fromkeys(item.kind.label for item in missing):
        items = [item.word.text for item in missing if item.kind.label == label and not item.failed]
        if items:
            echo(f"Without {label}: {len(items)} ({_some(items)}), since no provider has one that fits.")


def _show_failures(failures: list[Failure]) -> None:
    """Print a table of what failed, and then what to do about it."""
    if not failures:
        return
    table = plain_table("failed", "", "provider", "how", "words")
    for failure in failures:
        count, words = len(failure.words), _some(failure.words)
        table.add_row(str(count), failure.label, failure.instance, failure.kind, words, style="red")
    console().print(table)
    for failure in failures:
        who = f"{failure.instance}, {failure.kind}" if failure.instance else failure.kind
        lines = f"{who}: {failure.message}\n{failure.hint}".splitlines()
        echo("\n    ".join(lines))


def _some(words: Sequence[str]) -> str:
    return ", ".join(map(_short, words[:3])) + (", ..." if len(words) > 3 else "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 30 else f"{line[:30]}..."


def report_as_dict(report: BuildReport) -> dict[str, Any]:
    """Return the report of a build as JSON has it."""
    return {
        "deck": report.deck,
        "outputs": report.outputs,
        "summaries": report.summaries,
        "words": report.words,
        "repeated": report.repeated,
        "cards": report.cards,
        **{label: count for label, (count, _) in report.delivered.items()},
        "sources": report.sources,
        "kept": report.cached,
        "cost": round(report.cost, 6),
        "costs": {name: round(cost, 6) for name, cost in report.costs.items()},
        "missing": [
            {
                "word": item.word.text,
                "type": item.kind.type,
                "failed": item.failed,
                "reasons": {instance: error.message for instance, error in item.reasons.items()},
            }
            for item in report.missing
        ],
        "failures": [
            {**attrs.asdict(failure), "count": len(failure.words)} for failure in failures_of(report.missing)
        ],
        "seconds": {stage: round(seconds, 3) for stage, seconds in report.seconds.items()},
        "problems": list(map(str, report.problems)),
        "warnings": list(map(str, report.warnings)),
    }
