"""`deckwright check`: is a configuration right, and does everything that it names work."""

from __future__ import annotations

from pathlib import Path

import click

from deckwright.cli import SOME_FAILED
from deckwright.cli.common import json_option, open_registry, print_json, show_problems, tell
from deckwright.errors import CATCHABLE
from deckwright.secrets import redact, secret_values


@click.command("check", short_help="Check a configuration.")
@click.argument("config", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--online", is_flag=True, help="Try each connection too. Some services count that as a request."
)
@json_option
def command(config: Path | None, online: bool, as_json: bool) -> None:
    """Check the configuration CONFIG: make every provider that it names, and use none.

    With --online, each provider tries whether it can be used: whether its service answers and takes the key, and,
    where it tells, has what the settings name. That spends as little as there is a way to.

    \b
    Exit codes:
      0  all is well
      2  the configuration is wrong in itself
      3  a provider or a plugin failed, or a setting is unknown, or a connection does not work
    """  # noqa: D301
    from deckwright.builder.plan import hidden_types
    from deckwright.builder.settings import BuildSettings
    from deckwright.plugins.records import problem_of

    with open_registry(config) as registry:
        pipeline = BuildSettings().pipeline
        if registry.config:
            pipeline = registry.config.section("build", BuildSettings).pipeline
        problems = [*registry.problems(), *registry.warnings]
        remarks = [*registry.plugins.remarks(), *hidden_types(registry, pipeline)]
        made = {
            f"{type}.{name}": (type, name, provider)
            for type in registry.plugins.types
            for name, provider in registry[type].items()
        }
        if not as_json:
            show_problems(problems, remarks)
        found: dict[str, str] = {}
        for label, (type, name, provider) in made.items() if online else ():
            try:
                found[label] = registry.limited(type, name, provider.check_connection)()
            except CATCHABLE as error:
                said = str(problem_of(error))
                problem = f"{label}: {redact(said, secret_values(getattr(provider, 'config', {})))}"
                problems.append(problem)
                if not as_json:
                    show_problems([problem])
            else:
                if not as_json and found[label]:
                    tell(f"{label}: {found[label]}")
        registry.close()
        unclosed = [problem for problem in registry.problems() if problem not in problems]
        problems += unclosed
    if as_json:
        print_json({"providers": list(made), "online": found, "problems": problems, "remarks": remarks})
    else:
        show_problems(unclosed)
        if untried := [label for label, said in found.items() if not said]:
            tell(f"Nothing to try: {', '.join(untried)}")
        tell(f"Set up: {', '.join(made) or 'nothing'}")
        tell(f"Problems{f' in {config}' if config else ''}: {len(problems) or 'none'}")
    if problems:
        raise click.exceptions.Exit(SOME_FAILED)
