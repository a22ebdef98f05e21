"""`deckwright check`: is a configuration right, and does everything that it names work."""

from __future__ import annotations

from pathlib import Path

import click

from deckwright.cli import SOME_FAILED
from deckwright.cli.common import json_option, print_json, show_problems
from deckwright.errors import FAULTS, DeckwrightError, told
from deckwright.secrets import redact, secret_values


@click.command("check", short_help="Check a configuration.")
@click.argument("config", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--online", is_flag=True, help="Try each connection too. Some services count that as a request."
)
@json_option
def command(config: Path | None, online: bool, as_json: bool) -> None:
    """Check the configuration CONFIG: make every provider that it names, and use none.

    With --online, each provider tries whether it can be used: whether its service answers, takes the key, and has
    what the settings name. That spends as little as there is a way to.

    \b
    Exit codes:
      0  all is well
      2  the configuration is wrong in itself
      3  a provider or a plugin failed, or a setting is unknown, or a connection does not work
    """  # noqa: D301
    from deckwright.build.plan import BuildSettings
    from deckwright.registry import ProviderRegistry

    with ProviderRegistry.from_config(config) as registry:
        if registry.config:
            registry.config.section("build", BuildSettings)
        problems = [*registry.problems(), *registry.warnings]
        remarks = registry.plugins.remarks()
        made = {
            f"{type}.{name}": registry.get(type, name)
            for type in registry.plugins.types
            for name in registry[type]
        }
        found: dict[str, str] = {}
        if online:
            for label, provider in made.items():
                try:
                    found[label] = provider.check_connection()
                except FAULTS as error:
                    said = str(error) if isinstance(error, DeckwrightError) else told(error)
                    problems.append(
                        f"{label}: {redact(said, secret_values(getattr(provider, 'config', {})))}"
                    )
    if as_json:
        print_json({"providers": list(made), "online": found, "problems": problems, "remarks": remarks})
    else:
        show_problems(problems, remarks)
        for label, said in found.items():
            if said:
                click.echo(f"{label}: {said}")
        click.echo(f"Set up: {', '.join(made) or 'nothing'}")
        click.echo(f"Problems{f' in {config}' if config else ''}: {len(problems) or 'none'}")
    if problems:
        raise click.exceptions.Exit(SOME_FAILED)
