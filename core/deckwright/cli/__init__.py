"""The command `deckwright`. Each command is a module of this package, imported when it is called or listed."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from io import TextIOWrapper

import click

from deckwright._version import __version__

COMMANDS = (
    "build",
    "cache",
    "check",
    "doctor",
    "estimate",
    "init",
    "new-plugin",
    "plugins",
    "preview",
    "providers",
    "schema",
)

# Exit codes, beside 0 for success.
CANNOT = 1  # the command failed
WRONG_INPUT = 2  # the words, the configuration or the command line are wrong, as in click
SOME_FAILED = 3  # the command succeeded, but something in it failed
STOPPED = 130  # the user pressed Ctrl-C, as in shells


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"deckwright.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["--help", "-h"]})
@click.version_option(__version__, prog_name="deckwright")
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks and debug messages.")
def deckwright(verbose: bool) -> None:
    """Turn a list of words into Anki flashcards with sound and pictures.

    \b
    Start with:  deckwright build words.csv --language es

    No account, key or configuration is needed. A configuration (deckwright.toml) chooses other sources of
    sound and pictures; plugins add more of them.
    """  # noqa: D301 - click needs the character itself
    logger = logging.getLogger("deckwright")
    if verbose:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        logger.setLevel(logging.DEBUG)
        for handler in logging.getLogger().handlers:
            # Each command shows Deckwright's own warnings itself.
            handler.addFilter(lambda record: record.levelno < logging.WARNING or not _is_ours(record.name))
    else:
        # Each command shows itself what the library would log.
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def _is_ours(logger_name: str) -> bool:
    return logger_name.partition(".")[0] == "deckwright"


def main() -> None:
    """Run the command line; end the process with one of the exit codes above."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A word that the terminal cannot show must not stop the build.
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(deckwright(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        # The message of a build says how to continue.
        click.echo(str(error.__cause__ or error) or "Stopped.", err=True)
        sys.exit(STOPPED)
    except Exception as error:  # noqa: BLE001 - users should not have to read a traceback
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    from deckwright.errors import BuildError, DeckwrightError, ProvidersFailedError
    from deckwright.tracebacks import format_error, format_traceback

    if logging.getLogger("deckwright").isEnabledFor(logging.DEBUG):
        click.echo(format_traceback(error), err=True)
    if isinstance(error, DeckwrightError):
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
        return CANNOT if isinstance(error, BuildError | ProvidersFailedError) else WRONG_INPUT
    click.echo(
        f"{click.style('Error:', fg='red', bold=True)} {format_error(error)}\n"
        "  This is a bug in Deckwright or in a plugin. `deckwright --verbose ...` shows where.",
        err=True,
    )
    return CANNOT
