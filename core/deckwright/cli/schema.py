"""`deckwright schema`: what a configuration may hold, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from deckwright.cli import SOME_FAILED
from deckwright.cli.common import config_option, find_plugins, print_json, read_config, show_problems


@click.command("schema", short_help="Print the JSON Schema of configurations, for editors.")
@config_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, or an older schema to replace.  [default: standard output]",
)
def command(config: Path | None, output: Path | None) -> None:
    """Print the JSON Schema of configurations.

    With it, an editor completes what you write, shows what each setting is for, and marks what is wrong. It holds
    the settings of every plugin that is found, also by the section [plugins] of the configuration; so make it
    anew when you have added one:

    \b
      deckwright schema -o deckwright.schema.json

    Then let the configuration say where it is: in TOML on the first line, which taplo reads, and with it the
    extension Even Better TOML of Visual Studio Code; in JSON by the first key.

    \b
      #:schema ./deckwright.schema.json
      "$schema": "./deckwright.schema.json"

    \b
    Exit codes:
      0  all went well
      1  the file cannot be written
      2  the configuration or the options are wrong
      3  there is a schema, but a plugin failed, whose settings are not in it
    """  # noqa: D301
    from deckwright.builder.settings import SECTIONS
    from deckwright.config.schema import configuration_schema

    plugins = find_plugins(read_config(config))
    schema = configuration_schema(plugins, SECTIONS)
    if output is None:
        print_json(schema)
    else:
        _write(output, schema)
        click.echo(f"{output} is written.", err=True)
    problems = plugins.problems()
    show_problems(problems, plugins.unknown_names())
    if problems:
        raise click.exceptions.Exit(SOME_FAILED)


def _write(path: Path, schema: dict[str, Any]) -> None:
    """Write a schema; of the files that are there, replace none but another such schema."""
    try:
        if path.exists() and json.dumps(schema["title"]) not in path.read_text(
            encoding="utf-8", errors="replace"
        ):
            raise click.UsageError(f"{path} is there already, and no such schema; -o names another file.")
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}.") from None
