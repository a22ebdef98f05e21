"""`deckwright plugins`: lists the plugins with where they are from, what they offer and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from deckwright.cli.options import config_option, json_option
from deckwright.cli.output import console, plain_table, print_json, show
from deckwright.cli.session import find_plugins, read_config

if TYPE_CHECKING:
    from rich.console import Console

    from deckwright.plugins import PluginRecord


@click.command("plugins", short_help="List the plugins that were found.")
@config_option
@json_option
def command(config: Path | None, as_json: bool) -> None:
    """List the plugins: whether each works, where it is from, and what it offers.

    The built-in ones are listed in a table, the others with all details. An "excluded" plugin is not among those
    that the configuration allows. `deckwright doctor` shows how to fix what is wrong.
    """
    plugins = find_plugins(read_config(config))
    conflicts = plugins.conflicts()
    if as_json:
        print_json([attrs.asdict(record) for record in plugins.records])
        return
    out = console()
    table = plain_table("built in", "offers", "loaded in")
    for record in plugins.records:
        if record.is_built_in:
            table.add_row(record.name, ", ".join(record.offers), _took(record))
    out.print(table)
    for record in plugins.records:
        if not record.is_built_in:
            _show(record, out)
    notes = [*conflicts, *plugins.unknown_names(), *plugins.notes()]
    show([*plugins.problems(), *(attrs.evolve(each, severity="note") for each in notes)])


def _took(record: PluginRecord) -> str:
    return f"{record.seconds * 1000:.0f} ms" if record.status == "loaded" else record.status


def _show(record: PluginRecord, out: Console) -> None:
    """Print all that is known of one plugin."""
    took = f"loaded in {_took(record)}" if record.status == "loaded" else record.status
    out.print()
    out.print(record.name, style="bold")
    about = plain_table("", "")
    about.add_row("  is", f"{record.version + ', ' if record.version else ''}{took}")
    about.add_row("  from", str(record.provenance))
    if record.file and record.file not in str(record.provenance):
        about.add_row("  file", record.file)
    for label, several in (("  offers", record.offers), ("  hooks", record.hooks)):
        if several:
            about.add_row(label, ", ".join(several))
    out.print(about)
