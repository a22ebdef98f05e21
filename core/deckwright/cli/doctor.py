"""`deckwright doctor`: everything that is wrong, or will be, each with the mend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from deckwright.cli import SOME_FAILED, WRONG_INPUT
from deckwright.cli.common import (
    TIME_LIMIT,
    json_option,
    mask_plugins,
    print_json,
    read_config,
    staying_here,
    tell,
)

if TYPE_CHECKING:
    from deckwright.doctor.checks import Finding


@click.command("doctor", short_help="Find everything that is wrong, and say how to mend it.")
@click.argument("config", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def command(config: Path | None, as_json: bool) -> None:
    """Look for everything that is wrong with the configuration CONFIG, the plugins and the providers, or will be.

    Each finding is told with its place and the mend: plugins that fail or are in conflict, packages that are not
    installed, variables that are not set, models that will be shut down, folders out of reach. Providers that have no
    key and ask no service, as far as they say, are tried with a word. `deckwright check --online` tries the others.

    \b
    Exit codes:
      0  all is well, though there may be something worth knowing
      2  the configuration is wrong in itself
      3  something does not work, or will not
    """  # noqa: D301
    from deckwright.doctor.checks import Finding, examine
    from deckwright.errors import ConfigError

    try:
        chosen = read_config(config)
    except ConfigError as error:
        findings = [Finding("configuration", fault, error.hint or "") for fault in error.faults]
        _tell(findings, as_json)
        raise click.exceptions.Exit(WRONG_INPUT) from None
    output = mask_plugins(chosen)
    with staying_here():
        findings = list(examine(chosen, time_limit=TIME_LIMIT))
    for place in dict.fromkeys(output.leaks):
        mend = "Take it out of what is printed there; deckwright.secrets.redact masks it."
        findings.append(Finding(f"code at {place}", "a secret is printed", mend, place.rpartition(":")[0]))
    _tell(findings, as_json)
    if any(finding.is_problem for finding in findings):
        raise click.exceptions.Exit(SOME_FAILED)


def _tell(findings: list[Finding], as_json: bool) -> None:
    problems = [finding for finding in findings if finding.is_problem]
    notes = [finding for finding in findings if not finding.is_problem]
    if as_json:
        print_json([attrs.asdict(finding) for finding in findings])
        return
    for label, color, kind in (("Problem", "red", problems), ("Note", None, notes)):
        for finding in kind:
            tell(f"{click.style(f'{label}:', fg=color, bold=True)} {finding.about}: {finding.what}")
            if finding.file and finding.file not in f"{finding.about}{finding.what}":
                tell(f"  in {finding.file}")
            if finding.mend:
                tell(f"  {finding.mend}")
    if problems:
        tell(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}.")
    else:
        tell("All is well.")
