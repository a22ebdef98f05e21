"""`deckwright build`: from a word list to a deck."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from deckwright.cli import SOME_FAILED
from deckwright.cli.common import (
    PluginOutput,
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
    staying_here,
    tell,
    words_argument,
)

if TYPE_CHECKING:
    from deckwright.build.deck import BuildReport, Progress
    from deckwright.build.media import Missing
    from deckwright.build.plan import Plan
    from deckwright.build.words import Word


@click.command("build", short_help="Build a deck from a word list.")
@words_argument
@language_option
@config_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The deck's file, such as spanish.apkg."
)
@click.option("-d", "--deck", help="The deck's name in Anki.  [default: named for the word list]")
@pipeline_option
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be made, and by whom.")
@json_option
def command(
    words: Path,
    language: str | None,
    config: Path | None,
    output: Path | None,
    deck: str | None,
    pipeline: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build a deck from WORDS.

    WORDS is a word list: a table (CSV) with a header that names its columns (word, translation, and any of
    reading, example, tags, language), or plain text with one word a line. The deck is an .apkg file, for Anki
    to import. Built and imported once more, it updates the cards that are there.

    \b
    Exit codes:
      0  all went well
      1  no deck was made
      2  the words, the configuration or the options are wrong
      3  a deck was made, but a sound, a provider or a plugin failed
    """  # noqa: D301
    from deckwright.build.deck import closed, run
    from deckwright.build.plan import make_plan

    with open_registry(config) as registry:
        with staying_here():
            plan = make_plan(words, registry, language=language, output=output, deck=deck, pipeline=pipeline)
        if dry_run:
            _show_plan(plan, [*registry.problems(), *registry.warnings, *plan.warnings], as_json)
            return
        with _progress() as progress:
            report = run(plan, registry, progress=progress)
        report = closed(registry, report)
    if as_json:
        print_json(_as_dict(report))
    else:
        _show_report(report, plan.words)
    if report.failed or report.problems:
        raise click.exceptions.Exit(SOME_FAILED)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show a bar for each stage on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.file_proxy import FileProxy
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    output = click.get_current_context().find_object(PluginOutput)
    err = Console(file=output.stream if output else sys.stderr)
    if output is None or not err.is_terminal:
        yield lambda stage, done, total: None
        return
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # What plugins print is masked first, and then shown above the bars; rich would do it the other way round.
    with Progress(
        *columns, console=err, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        stream, output.stream = output.stream, cast("TextIO", FileProxy(err, output.stream))
        try:
            yield show
        finally:
            output.flush()
            output.stream = stream


def _facts(words: list[Word]) -> list[str]:
    """Return the further columns: one of them may be a known one, misspelled."""
    return list(dict.fromkeys(name for word in words for name in word.facts))


def _show_plan(plan: Plan, problems: list[str], as_json: bool) -> None:
    providers = {type: list(instances) for type, instances in plan.providers.items() if instances}
    shown: dict[str, Any] = {
        "deck": plan.deck,
        "words": len(plan.words),
        "languages": sorted({word.language for word in plan.words}),
    }
    files = [provider.destination(plan.deck, plan.output) for provider in plan.providers["sync"].values()]
    shown["outputs"] = [{"path": file, "replaced": file.exists()} for file in files if file]
    if as_json:
        print_json({**shown, "repeated": plan.repeated, "providers": providers, "problems": problems})
        return
    table = plain_table("", "")
    table.add_row("deck", plan.deck)
    table.add_row("words", _count(len(plan.words), plan.repeated))
    table.add_row("language", ", ".join(shown["languages"]))
    if facts := _facts(plan.words):
        table.add_row("also shown", ", ".join(facts))
    for type, instances in providers.items():
        table.add_row(type, (", " if type == "sync" else ", then ").join(instances))
    for file in shown["outputs"]:
        table.add_row("output", f"{file['path']}{' (replaced)' if file['replaced'] else ''}")
    console().print(table)
    show_problems(problems)
    tell("Nothing was made: this was a dry run.")


def _show_report(report: BuildReport, words: list[Word]) -> None:
    from rich.table import Table

    out = console()
    out.print(report.deck, style="bold")
    table = Table(show_header=False)
    table.add_row("words", _count(report.words, report.repeated))
    if report.cards is not None:
        table.add_row("cards", str(report.cards))
    for label, (count, total) in report.delivered.items():
        whose = report.sources.get(label, {})
        by = ", ".join(f"{instance} {its}" for instance, its in whose.items()) if len(whose) > 1 else ""
        table.add_row(label, f"{count} of {total}{f' ({by})' if by else ''}")
    table.add_row("failed", str(len(report.failed)))
    if report.cost:
        table.add_row("cost", dollars(report.cost))
    out.print(table)
    if facts := _facts(words):
        tell(f"On the cards as further facts: {', '.join(facts)}")
    _show_missing(report.missing)
    show_problems(report.problems, report.warnings)
    for instance, path in report.outputs.items():
        said = f" ({report.told[instance]})" if instance in report.told else ""
        where = f"is in {click.style(path, bold=True)}" if path else f"went to {instance}"
        tell(f"The deck {where}{said}{'' if path else '.'}")


def _count(words: int, repeated: int) -> str:
    return f"{words} (and {repeated} repeated)" if repeated else str(words)


def _show_missing(missing: tuple[Missing, ...]) -> None:
    """Print one line for each way in which media are missing, with a few words as examples."""
    groups: dict[tuple[Any, ...], list[Missing]] = {}
    for item in missing:
        ways = tuple((instance, type(error)) for instance, error in item.reasons.items())
        groups.setdefault((item.kind.label, item.failed, ways), []).append(item)
    for (label, failed, _), items in groups.items():
        words = ", ".join(_short(item.word.text) for item in items[:3]) + (", ..." if len(items) > 3 else "")
        line = f"Without {label}: {len(items)} ({words})"
        if not failed:
            tell(f"{line}, since no provider has one that fits.")
        else:
            tell(click.style(line, fg="red"))
            for instance, error in items[0].reasons.items():
                reason = str(error).replace("\n", "\n    ")
                tell(f"  {instance}: {reason}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 30 else f"{line[:30]}..."


def _as_dict(report: BuildReport) -> dict[str, Any]:
    return {
        "deck": report.deck,
        "outputs": report.outputs,
        "told": report.told,
        "words": report.words,
        "repeated": report.repeated,
        "cards": report.cards,
        **{label: count for label, (count, _) in report.delivered.items()},
        "sources": report.sources,
        "cost": round(report.cost, 6),
        "missing": [
            {
                "word": item.word.text,
                "type": item.kind.type,
                "failed": item.failed,
                "reasons": {instance: error.message for instance, error in item.reasons.items()},
            }
            for item in report.missing
        ],
        "seconds": {stage: round(seconds, 3) for stage, seconds in report.seconds.items()},
        "problems": report.problems,
        "warnings": report.warnings,
    }
