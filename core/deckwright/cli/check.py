"""`deckwright check`: is a configuration right, and does everything that it names work."""

from __future__ import annotations

from pathlib import Path

import click

from deckwright.cli import SOME_FAILED
from deckwright.cli.common import json_option, print_json, show_problems


@click.command("check", short_help="Check a configuration.")
@click.argument("config", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def command(config: Path | None, as_json: bool) -> None:
    """Check the configuration CONFIG: make every provider that it names, and use none.

    \b
    Exit codes:
      0  all is well
      2  the configuration is wrong in itself
      3  a provider or a plugin failed, or a setting is unknown
    """  # noqa: D301
    from deckwright.build.plan import BuildSettings
    from deckwright.registry import ProviderRegistry

    with ProviderRegistry.from_config(config) as registry:
        if registry.config:
            registry.config.section("build", BuildSettings)
        problems = [*registry.problems(), *registry.warnings]
        remarks = registry.plugins.remarks()
        made = [f"{type}.{name}" for type in registry.plugins.types for name in registry[type]]
    if as_json:
        print_json({"providers": made, "problems": problems, "remarks": remarks})
    else:
        show_problems(problems, remarks)
        click.echo(f"Set up: {', '.join(made) or 'nothing'}")
        click.echo(f"Problems{f' in {config}' if config else ''}: {len(problems) or 'none'}")
    if problems:
        raise click.exceptions.Exit(SOME_FAILED)
