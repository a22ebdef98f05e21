"""`deckwright schema`: prints the JSON Schema of configurations, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from deckwright.cli import SOME_FAILED
from deckwright.cli.options import config_option
from deckwright.cli.output import print_json, show
from deckwright.cli.session import find_plugins, read_config


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

    With it, an editor completes what you write, explains each setting, and marks mistakes. It has the settings of
    every plugin that is found, also through the section [plugins] of the configuration. Make it again when you have
    added a plugin:

    \b
      deckwright schema -o deckwright.schema.json

    Then name it in the configuration: in TOML on the first line, which taplo and the extension Even Better TOML of
    Visual Studio Code read; in JSON by the first key.

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
    show([*problems, *plugins.unknown_names()])
    if problems:
        raise click.exceptions.Exit(SOME_FAILED)


def _write(path: Path, schema: dict[str, Any]) -> None:
    """Write a schema; replace an existing file only if it is such a schema too."""
    try:
        if path.exists() and json.dumps(schema["title"]) not in path.read_text(
            encoding="utf-8", errors="replace"
        ):
            raise click.UsageError(f"{path} exists and is not such a schema; choose another file with -o.")
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}.") from None
