"""What several commands share: options, and ways to show things."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from deckwright.config import Config
    from deckwright.plugins import Plugins
    from deckwright.registry import ProviderRegistry

# How many seconds a command gives a plugin each time, unless the configuration says otherwise.
TIME_LIMIT = 30.0

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


class PluginOutput:
    """Stands in for a standard stream while plugins are called: what they print has no secrets, and a place.

    Args:
        stream: Where it goes.
        secrets: What must not be shown.

    Attributes:
        leaks: Where in the code of plugins a secret was printed: file and line.
    """

    def __init__(self, stream: TextIO, secrets: Iterable[str]) -> None:
        self._stream = stream
        self._secrets = tuple(secrets)
        self.leaks: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Leave the stream open: it is the command's, whatever a plugin thinks."""

    def write(self, text: str) -> int:
        """Write text, with a mask for every secret in it, and take note of who wrote one."""
        from deckwright.errors import is_of_others
        from deckwright.secrets import redact

        shown = redact(text, self._secrets)
        if shown != text:
            frame = sys._getframe(1)
            while frame.f_back and not is_of_others(frame.f_code.co_filename):
                frame = frame.f_back
            self.leaks.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        self._stream.write(shown)
        return len(text)


@contextmanager
def plugins_at_work(config: Config) -> Iterator[PluginOutput]:
    """Keep what plugins print off standard output, where a program may read what a command prints.

    It goes to standard error, with a mask for every secret of the configuration.
    """
    from deckwright.config import secrets_in

    stdout, stderr, folder = sys.stdout, sys.stderr, Path.cwd()
    output = PluginOutput(stderr, secrets_in(config.written))
    sys.stdout = sys.stderr = output
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = stdout, stderr
        # A plugin may have gone elsewhere, and the paths that the user named are to lead where they led.
        os.chdir(folder)


def read_config(path: Path | None) -> Config:
    """Return the configuration that a command is to use: the one named, or else the one that is found."""
    from deckwright.config import Config

    return Config.load(path) if path else Config.find()


def find_plugins(config: Config) -> Plugins:
    """Load the plugins that a command is to use, and set up no provider."""
    from deckwright.plugins import Plugins, PluginSettings

    with plugins_at_work(config):
        settings = config.section("plugins", PluginSettings)
        return Plugins(settings, folder=config.folder, time_limit=TIME_LIMIT)


@contextmanager
def open_registry(path: Path | None) -> Iterator[ProviderRegistry]:
    """Set up the providers of a configuration for a command, and close them when it is done."""
    from deckwright.registry import ProviderRegistry

    config = read_config(path)
    with plugins_at_work(config):
        registry = ProviderRegistry.from_config(config, time_limit=TIME_LIMIT)
    try:
        yield registry
    finally:
        with plugins_at_work(config):
            registry.close()


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
