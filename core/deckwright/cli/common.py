"""What several commands share: options, and ways to show things."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

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


def console() -> Console:
    """Return a console on standard output, to which words and names are text whatever is in them."""
    return Console(highlight=False, markup=False, emoji=False)


def plain_table(*headers: str) -> Table:
    """Return a table without lines, for long cells, of which nothing is cut off."""
    columns = (Column(header, overflow="fold") for header in headers)
    return Table(*columns, box=None, pad_edge=False, show_header=any(headers), header_style="bold")


def dollars(amount: float | None) -> str:
    """Return an amount of US dollars in words: to the cent, or exactly enough for parts of one; `?` for None."""
    if amount is None:
        return "?"
    exact = f"{amount:,.4f}".rstrip("0")
    return f"${exact}" if len(exact.partition(".")[2]) > 2 and amount < 1 else f"${amount:,.2f}"


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII, which every terminal and pipe can carry; paths become text."""
    click.echo(json.dumps(value, indent=2, default=str))


def show_problems(problems: Iterable[str], remarks: Iterable[str] = ()) -> None:
    """Print what is wrong, and what is worth knowing, on standard error, a paragraph each."""
    for problem in problems:
        click.echo(f"{click.style('Warning:', fg='yellow', bold=True)} {problem}", err=True)
    for remark in remarks:
        click.echo(f"{click.style('Note:', bold=True)} {remark}", err=True)
