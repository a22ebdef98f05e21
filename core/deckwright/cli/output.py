"""Printing the results of a command: lines, tables, JSON, diagnostics."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.console import Console
from rich.table import Column, Table

from deckwright.cli.plugin_output import PluginOutput

if TYPE_CHECKING:
    from deckwright.diagnostics import Diagnostic

_LABELS = {"error": ("Warning:", "yellow"), "warning": ("Warning:", "yellow"), "note": ("Note:", None)}


def results() -> TextIO:
    """Return the stream for the results of a command: standard output, though plugins print elsewhere."""
    output = click.get_current_context().obj
    return output.results if isinstance(output, PluginOutput) else sys.stdout


def echo(line: str) -> None:
    """Print a line of the results of a command."""
    click.echo(line, file=results())


def console() -> Console:
    """Return a console on standard output that shows words and names as they are, without markup."""
    return Console(file=results(), highlight=False, markup=False, emoji=False)


def plain_table(*headers: str) -> Table:
    """Return a table without lines, which folds long cells and cuts none."""
    columns = (Column(header, overflow="fold") for header in headers)
    return Table(*columns, box=None, pad_edge=False, show_header=any(headers), header_style="bold")


def dollars(amount: float | None) -> str:
    """Return an amount of US dollars as text: to the cent, or exactly if it is less than one; `?` for None."""
    if amount is None:
        return "?"
    exact = f"{amount:,.4f}".rstrip("0")
    return f"${exact}" if len(exact.partition(".")[2]) > 2 and amount < 1 else f"${amount:,.2f}"


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII, which every terminal and pipe can carry; paths become text."""
    echo(json.dumps(value, indent=2, default=str))


def write_json(file: Path, value: Any) -> None:
    """Write a value as a JSON file, completely or not at all.

    Raises:
        BuildError: It cannot be written.
    """
    from deckwright.errors import BuildError
    from deckwright.toolkit.media_format import temporary_beside

    try:
        with temporary_beside(file) as temporary:
            temporary.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")
            temporary.replace(file)
    except OSError as error:
        raise BuildError(f"{file} cannot be written: {error.strerror or error}.") from None


def show(diagnostics: Iterable[Diagnostic]) -> None:
    """Print diagnostics on standard error, a paragraph each: notes last."""
    for diagnostic in sorted(diagnostics, key=lambda each: each.severity == "note"):
        label, color = _LABELS[diagnostic.severity]
        click.echo(f"{click.style(label, fg=color, bold=True)} {diagnostic}", err=True)
