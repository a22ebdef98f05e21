"""`deckwright check`: checks a configuration, and the connections of its providers."""

from __future__ import annotations

from pathlib import Path

import click

from deckwright.cli import SOME_FAILED
from deckwright.cli.options import json_option
from deckwright.cli.output import echo, print_json, show
from deckwright.cli.session import open_registry
from deckwright.diagnostics import Diagnostic
from deckwright.errors import CATCHABLE
from deckwright.registry import ProviderRegistry
from deckwright.secrets import secret_values
from deckwright.tracebacks import diagnostic_of


@click.command("check", short_help="Check a configuration.")
@click.argument("config", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--online", is_flag=True, help="Try each connection too. Some services count that as a request."
)
@json_option
def command(config: Path | None, online: bool, as_json: bool) -> None:
    """Check the configuration CONFIG: make every provider that it names, and use none.

    With --online, each provider tries its connection: whether its service answers, accepts the key, and has what
    the settings name. That spends as little as possible.

    \b
    Exit codes:
      0  no problem was found
      2  the configuration is wrong in itself
      3  a provider or a plugin failed, or a setting is unknown, or a connection does not work
    """  # noqa: D301
    from deckwright.builder.plan import hidden_types
    from deckwright.builder.settings import BuildSettings

    with open_registry(config) as registry:
        pipeline = BuildSettings().pipeline
        if registry.config:
            pipeline = registry.config.section("build", BuildSettings).pipeline
        problems = [*registry.problems(), *registry.warnings]
        notes = [*registry.plugins.notes(), *hidden_types(registry, pipeline)]
        made = {f"{type}.{name}": (type, name) for type in registry.plugins.types for name in registry[type]}
        if not as_json:
            show([*problems, *notes])
        answers: dict[str, str] = {}
        for label, (type, name) in made.items() if online else ():
            answer = _try_connection(registry, type, name)
            if isinstance(answer, Diagnostic):
                problems.append(answer)
            else:
                answers[label] = answer
            if not as_json:
                _show_answer(label, answer)
        registry.close()
        not_closed = [problem for problem in registry.problems() if problem not in problems]
        problems += not_closed
    if as_json:
        shown = {"problems": list(map(str, problems)), "remarks": list(map(str, notes))}
        print_json({"providers": list(made), "online": answers, **shown})
    else:
        show(not_closed)
        if untried := [label for label, answer in answers.items() if not answer]:
            echo(f"Nothing to try: {', '.join(untried)}")
        echo(f"Set up: {', '.join(made) or 'nothing'}")
        echo(f"Problems{f' in {config}' if config else ''}: {len(problems) or 'none'}")
    if problems:
        raise click.exceptions.Exit(SOME_FAILED)


def _try_connection(registry: ProviderRegistry, type: str, instance: str) -> str | Diagnostic:
    """Return what a provider says of its connection, or what is wrong with it."""
    provider = registry[type][instance]
    try:
        return str(registry.with_timeout(type, instance, provider.check_connection)())
    except CATCHABLE as error:
        secrets = secret_values(getattr(provider, "config", {}))
        return diagnostic_of(error, f"{type}.{instance}", secrets=secrets)


def _show_answer(label: str, answer: str | Diagnostic) -> None:
    if isinstance(answer, Diagnostic):
        show([answer])
    elif answer:
        echo(f"{label}: {answer}")
