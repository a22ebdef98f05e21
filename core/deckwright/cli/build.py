"""`deckwright build`: from a word list to a deck."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deckwright.cli import SOME_FAILED
from deckwright.cli.options import (
    config_option,
    json_option,
    language_option,
    pipeline_option,
    words_argument,
)
from deckwright.cli.output import console, dollars, echo, plain_table, print_json, show, write_json
from deckwright.cli.progress import shown_progress, stopped_by_signals
from deckwright.cli.session import open_registry, same_folder
from deckwright.diagnostics import Diagnostic

if TYPE_CHECKING:
    from deckwright.builder.estimate import Estimate
    from deckwright.builder.plan import Plan


@click.command("build", short_help="Build a deck from a word list.")
@words_argument
@language_option
@config_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The deck's file, such as spanish.apkg."
)
@click.option("-d", "--deck", help="The deck's name in Anki.  [default: named for the word list]")
@pipeline_option
@click.option(
    "-b", "--budget", type=click.FloatRange(min=0), help="The most that this build may spend, in US dollars."
)
@click.option("--retry-failed", is_flag=True, help="Ask providers again for what they refused before.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be made, and by which providers.")
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report as JSON: what was made, by which provider, at what cost, and what failed.",
)
@json_option
def command(
    words: Path,
    language: str | None,
    config: Path | None,
    output: Path | None,
    deck: str | None,
    pipeline: str | None,
    budget: float | None,
    retry_failed: bool,
    dry_run: bool,
    report_file: Path | None,
    as_json: bool,
) -> None:
    """Build a deck from WORDS.

    WORDS is a word list: a table (CSV) with a header that names its columns (word, translation, and any of
    reading, example, tags, language), or plain text with one word a line. The deck is an .apkg file, for Anki
    to import. If you build and import it again, Anki updates the cards that are there. Sounds and pictures are
    cached, so the next build makes only what is missing or changed.

    \b
    Exit codes:
      0  all went well
      1  no deck was made
      2  the words, the configuration or the options are wrong
      3  a deck was made, but a sound, a provider or a plugin failed
    130  the build was stopped (Ctrl-C); run the same command again to continue
    """  # noqa: D301
    from deckwright.builder.deck import close_registry, run_plan
    from deckwright.builder.delivery import require_writable
    from deckwright.builder.estimate import estimate_cost
    from deckwright.builder.plan import make_plan
    from deckwright.cli.report import report_as_dict, show_report

    if report_file:
        require_writable(report_file)
    with open_registry(config) as registry:
        with same_folder():
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
        if dry_run:
            found = [*registry.problems(), *registry.warnings, *plan.warnings]
            _show_plan(plan, estimate_cost(plan, registry), found, as_json)
            return
        with stopped_by_signals(), shown_progress() as on_progress:
            report = run_plan(plan, registry, on_progress=on_progress)
        report = close_registry(registry, report)
    if report_file:
        write_json(report_file, report_as_dict(report))
    if as_json:
        print_json(report_as_dict(report))
    else:
        show_report(report, plan)
    if report.failed or report.problems:
        raise click.exceptions.Exit(SOME_FAILED)


def _show_plan(plan: Plan, estimate: Estimate, diagnostics: list[Diagnostic], as_json: bool) -> None:
    from deckwright.cli.estimate import budget_warnings
    from deckwright.cli.report import count_of, extra_columns

    providers = {type: list(instances) for type, instances in plan.providers.items() if instances}
    shown: dict[str, Any] = {
        "deck": plan.deck,
        "words": len(plan.words),
        "languages": sorted({word.language for word in plan.words}),
    }
    files = [provider.destination(plan.deck, plan.output) for provider in plan.providers["sync"].values()]
    shown["outputs"] = [{"path": file, "replaced": file.exists()} for file in files if file]
    shown["kept"] = dict(estimate.cached)
    shown["expected"], shown["most"] = round(estimate.expected, 6), round(estimate.most, 6)
    diagnostics += budget_warnings(estimate)
    if as_json:
        print_json(
            {
                **shown,
                "repeated": plan.repeated,
                "providers": providers,
                "problems": list(map(str, diagnostics)),
            }
        )
        return
    table = plain_table("", "")
    table.add_row("deck", plan.deck)
    table.add_row("words", count_of(len(plan.words), plan.repeated))
    table.add_row("language", ", ".join(shown["languages"]))
    if extra := extra_columns(plan.words):
        table.add_row("also shown", ", ".join(extra))
    for type, instances in providers.items():
        table.add_row(type, (", " if type == "sync" else ", then ").join(instances))
    if cached := [f"{count} {label}" for label, count in estimate.cached.items() if count]:
        table.add_row("cached", ", ".join(cached))
    if estimate.most:
        expected, most = dollars(estimate.expected), dollars(estimate.most)
        at_most = f"; about {most} if the most expensive had to make them all" if most != expected else ""
        table.add_row("cost", f"about {expected}{at_most}")
    for file in shown["outputs"]:
        table.add_row("output", f"{file['path']}{' (replaced)' if file['replaced'] else ''}")
    console().print(table)
    show(diagnostics)
    echo("Nothing was made: this was a dry run.")
