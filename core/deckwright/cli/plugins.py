"""`deckwright plugins`: which were found, where they are from, what they offer, and what is wrong with any."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from deckwright.cli.common import (
    config_option,
    console,
    find_plugins,
    json_option,
    plain_table,
    print_json,
    read_config,
    show_problems,
)


@click.command("plugins", short_help="List the plugins that were found.")
@config_option
@json_option
def command(config: Path | None, as_json: bool) -> None:
    """List the plugins: whether each works, where it is from, and what it offers.

    Of each, the first line says its name and version, whether it was loaded, and how long that took. A plugin that is
    "excluded" is not among those that the configuration allows. `deckwright doctor` says how to mend what is wrong.
    """
    plugins = find_plugins(read_config(config))
    conflicts = plugins.conflicts()
    if as_json:
        print_json([attrs.asdict(record) for record in plugins.records])
        return
    out = console()
    for record in plugins.records:
        took = (
            f"{record.status} in {record.seconds * 1000:.0f} ms"
            if record.status == "loaded"
            else record.status
        )
        out.print(record.name, style="bold")
        about = plain_table("", "")
        about.add_row("  is", f"{record.version + ', ' if record.version else ''}{took}")
        about.add_row("  from", str(record.provenance))
        if not record.is_built_in and record.file and record.file not in str(record.provenance):
            about.add_row("  file", record.file)
        for label, several in (("  offers", record.offers), ("  hooks", record.hooks)):
            if several:
                about.add_row(label, ", ".join(several))
        out.print(about)
    show_problems(
        [f"{record}: {problem}" for record in plugins.records for problem in record.problems],
        [*map(str, conflicts), *plugins.unknown_names(), *plugins.remarks()],
    )
