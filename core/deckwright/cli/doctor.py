"""`deckwright doctor`: what is wrong, or will be, and how to fix it."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from deckwright.cli import SOME_FAILED, WRONG_INPUT
from deckwright.cli.options import json_option
from deckwright.cli.output import echo, print_json
from deckwright.cli.session import TIME_LIMIT, mask_plugins, read_config, same_folder
from deckwright.diagnostics import Diagnostic
from deckwright.errors import ConfigError


@click.command("doctor", short_help="Find problems, and show how to fix them.")
@click.argument("config", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def command(config: Path | None, as_json: bool) -> None:
    """Look for problems with the configuration CONFIG, the plugins and the providers.

    Each problem is shown with where it is and how to fix it: plugins that fail or conflict, packages that are not
    installed, variables that are not set, models that will be shut down, folders that cannot be used. Providers that
    have no key and ask no service, as far as they say, are tried with a word. `deckwright check --online` tries the
    others.

    \b
    Exit codes:
      0  no problem was found, though there may be notes
      2  the configuration is wrong in itself
      3  something does not work, or will stop working
    """  # noqa: D301
    from deckwright.doctor.checks import examine

    try:
        chosen = read_config(config)
    except ConfigError as error:
        _show([attrs.evolve(each, where="configuration") for each in error.diagnostics], as_json)
        raise click.exceptions.Exit(WRONG_INPUT) from None
    output = mask_plugins(chosen)
    with same_folder():
        found = list(examine(chosen, time_limit=TIME_LIMIT, leaked=output.leaked))
    _show(found, as_json)
    if any(each.severity == "error" for each in found):
        raise click.exceptions.Exit(SOME_FAILED)


def _show(diagnostics: list[Diagnostic], as_json: bool) -> None:
    if as_json:
        print_json([attrs.asdict(each) for each in diagnostics])
        return
    problems = [each for each in diagnostics if each.severity == "error"]
    notes = [each for each in diagnostics if each.severity != "error"]
    for label, color, several in (("Problem", "red", problems), ("Note", None, notes)):
        for each in several:
            echo(f"{click.style(f'{label}:', fg=color, bold=True)} {attrs.evolve(each, hint='')}")
            if each.file and each.file not in f"{each.where}{each.message}":
                echo(f"  in {each.file}")
            if each.hint:
                echo(f"  {each.hint}")
    count = {0: "No problem", 1: "1 problem"}.get(len(problems), f"{len(problems)} problems")
    echo(f"{count} found.")
