"""What several commands share: options, and ways to show things."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from deckwright.builder.estimate import Estimate
    from deckwright.config.loader import Config
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


class PluginOutput(io.TextIOBase):
    """Stands in for the standard streams of a command: what plugins print has no secrets, and a place.

    It goes to standard error; standard output, which a program may read, is for the command's own results.

    Args:
        stream: Where it goes.
        results: Where the results of the command go.

    Attributes:
        secrets: What must not be shown.
        leaks: Where in the code of plugins a secret was printed: file and line.
    """

    def __init__(self, stream: TextIO, results: TextIO) -> None:
        self.stream, self.results = stream, results
        self.secrets: set[str] = set()
        self.leaks: list[str] = []

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self.stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What becomes of characters that the stream cannot show."""
        return self.stream.errors

    @property
    def buffer(self) -> io.BufferedIOBase:
        """A stream of bytes that come out as text here, so that they have no secrets either."""
        return _Bytes(self)

    def isatty(self) -> bool:
        """Say whether people see it at once."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Return the file's number, for programs that a plugin starts."""
        return self.stream.fileno()

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def reconfigure(self, **options: Any) -> None:
        """Change nothing: it is the command's, whatever a plugin thinks."""

    def close(self) -> None:
        """Leave it open, for the same reason."""

    def flush(self) -> None:
        """Show what was written."""
        self.stream.flush()

    def write(self, text: str) -> int:
        """Write text, with a mask for every secret in it, and take note of who wrote one."""
        from deckwright.secrets import redact
        from deckwright.tracebacks import is_external_code

        shown = redact(text, self.secrets)
        if shown != text:
            frame = sys._getframe(1)
            while frame.f_back and not is_external_code(frame.f_code.co_filename):
                frame = frame.f_back
            self.leaks.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        self.stream.write(shown)
        return len(text)


class _Bytes(io.BufferedIOBase):
    def __init__(self, output: PluginOutput) -> None:
        self._output = output

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._output.write(bytes(data).decode(errors="replace"))
        return len(data)

    def flush(self) -> None:
        self._output.flush()


def mask_plugins(config: Config) -> PluginOutput:
    """Keep what plugins print off standard output from now to the end of the command.

    It goes to standard error, with a mask for every secret of the configuration.
    """
    from deckwright.config.loader import secrets_in

    context = click.get_current_context()
    if context.obj is None:
        context.obj = context.with_resource(_masked_streams())
    output: PluginOutput = context.obj
    output.secrets.update(secrets_in(config.written))
    return output


@contextmanager
def _masked_streams() -> Iterator[PluginOutput]:
    stdout, stderr = sys.stdout, sys.stderr
    output = PluginOutput(stderr, stdout)
    # A stream of type TextIO has to know more than anybody asks of this one.
    sys.stdout = sys.stderr = cast("TextIO", output)
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = stdout, stderr


def results() -> TextIO:
    """Return the stream for the results of a command: standard output, whatever stands there for plugins."""
    output = click.get_current_context().obj
    return output.results if isinstance(output, PluginOutput) else sys.stdout


def tell(line: str) -> None:
    """Print a line of the results of a command."""
    click.echo(line, file=results())


@contextmanager
def staying_here() -> Iterator[None]:
    """Come back to the working folder: a plugin may go elsewhere, and paths are to lead where they led."""
    folder = Path.cwd()
    try:
        yield
    finally:
        os.chdir(folder)


def read_config(path: Path | None) -> Config:
    """Return the configuration that a command is to use: the one named, or else the one that is found."""
    from deckwright.config.loader import Config

    return Config.load(path) if path else Config.find()


def store_folder(path: Path | None) -> Path:
    """Return where the store is, by the configuration that a command is to use."""
    from deckwright.builder.plan import store_folder as folder_of_store
    from deckwright.builder.settings import BuildSettings

    config = read_config(path)
    return folder_of_store(config, config.section("build", BuildSettings)).absolute()


def find_plugins(config: Config) -> Plugins:
    """Load the plugins that a command is to use, and set up no provider."""
    from deckwright.plugins import Plugins

    mask_plugins(config)
    with staying_here():
        return Plugins.from_config(config, time_limit=TIME_LIMIT)


@contextmanager
def open_registry(path: Path | None) -> Iterator[ProviderRegistry]:
    """Set up the providers of a configuration for a command, and close them when it is done."""
    from deckwright.registry import ProviderRegistry

    config = read_config(path)
    mask_plugins(config)
    with staying_here():
        registry = ProviderRegistry.from_config(config, time_limit=TIME_LIMIT)
    try:
        yield registry
    finally:
        registry.close()


def console() -> Console:
    """Return a console on standard output, to which words and names are text whatever is in them."""
    return Console(file=results(), highlight=False, markup=False, emoji=False)


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


def budget_remarks(estimate: Estimate) -> list[str]:
    """Return a remark for every budget that a build might use up."""
    return [
        f"It may cost about {dollars(estimate.most)}, and the {name} leaves {dollars(left)}: the build may end before."
        for name, left in estimate.left.items()
        if estimate.most > left
    ]


def print_json(value: Any) -> None:
    """Print a value as JSON, in ASCII, which every terminal and pipe can carry; paths become text."""
    tell(json.dumps(value, indent=2, default=str))


def write_json(file: Path, value: Any) -> None:
    """Write a value as a JSON file, as a whole or not at all.

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


def show_problems(problems: Iterable[str], remarks: Iterable[str] = ()) -> None:
    """Print what is wrong, and what is worth knowing, on standard error, a paragraph each."""
    for problem in problems:
        click.echo(f"{click.style('Warning:', fg='yellow', bold=True)} {problem}", err=True)
    for remark in remarks:
        click.echo(f"{click.style('Note:', bold=True)} {remark}", err=True)
