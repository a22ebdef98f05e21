"""The options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

words_argument = click.argument("words", type=click.Path(exists=True, dir_okay=False, path_type=Path))
language_option = click.option("-l", "--language", help="Language of the words: es, pt-BR, japanese.")
pipeline_option = click.option(
    "-p", "--pipeline", help="Use only the providers open to this pipeline.  [default: vocabulary]"
)
config_option = click.option(
    "-c",
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration, TOML or JSON.  [default: deckwright.toml or deckwright.json here, or else the built-in one]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
