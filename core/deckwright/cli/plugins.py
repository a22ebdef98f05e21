"""`deckwright plugins`: which were found, where they are from, and what is wrong with any."""

from __future__ import annotations

from pathlib import Path

import attrs
import click

from deckwright.cli.common import config_option, console, json_option, plain_table, print_json, show_problems


@click.command("plugins", short_help="List the plugins that were found.")
@config_option
@json_option
def command(config: Path | None, as_json: bool) -> None:
    """List the plugins: whether each works, and where it is from. With --json, also their hooks."""
    from deckwright.config import Config
    from deckwright.plugins import Plugins, PluginSettings

    chosen = Config.load(config) if config else Config.find()
    plugins = Plugins(chosen.section("plugins", PluginSettings), folder=chosen.folder)
    plugins.describe()  # finds out who wins where several offer the same
    if as_json:
        print_json([attrs.asdict(record) for record in plugins.records])
        return
    table = plain_table("plugin", "status", "from")
    for record in plugins.records:
        table.add_row(record.name, record.status, str(record.provenance))
    console().print(table)
    show_problems(
        [f"{record}: {problem}" for record in plugins.records for problem in record.problems],
        [*plugins.unknown_names(), *plugins.remarks()],
    )
