"""`deckwright init`: write a configuration for chosen providers."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deckwright.cli.options import config_option
from deckwright.cli.output import plain_table, results, show
from deckwright.cli.session import find_plugins, read_config

if TYPE_CHECKING:
    from deckwright.hooks import ProviderInfo, ProviderType

NONE = "none"


@click.command("init", short_help="Write a configuration to start from.")
@click.argument("providers", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="deckwright.toml",
    show_default=True,
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("-n", "--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
@click.option("-l", "--language", help="Language of the words: es, pt-BR, japanese.")
@config_option
def command(
    providers: tuple[str, ...],
    output: Path,
    force: bool,
    dry_run: bool,
    language: str | None,
    config: Path | None,
) -> None:
    """Write a configuration for PROVIDERS that explains every setting.

    Name a provider as in `deckwright providers`: forvo, or audio/forvo if several types have one of that name.
    A build asks those of one type in the given order. If you name none, you are asked for them on a terminal, and
    get the built-in ones elsewhere.

    The section [plugins] of the current configuration, or of the one given by --config, is copied, so that you can
    choose providers of plugins too.

    \b
    Exit codes:
      0  all went well
      1  the file cannot be written
      2  the options or the configuration are wrong, or the file is there already
    """  # noqa: D301
    from deckwright.builder.settings import BuildSettings
    from deckwright.config.template import default_offers, moved_plugin_settings, starter_config
    from deckwright.plugins import PluginSettings

    if output.suffix != ".toml":
        raise click.UsageError(f"{output}: what is written is TOML, so its name must end in .toml.")
    if output.exists() and not (force or dry_run):
        raise click.UsageError(f"{output} exists. Replace it with --force, or choose another file with -o.")
    _require_language(language)
    current = read_config(config)
    plugins = find_plugins(current)
    offers = [info for info, _ in plugins.describe()]
    if providers:
        chosen = _found(providers, offers)
    elif sys.stdin.isatty() and sys.stderr.isatty():
        chosen = _ask(offers, default_offers(plugins), plugins.types)
    else:
        chosen = default_offers(plugins)
    tables: dict[str, tuple[type[Any], Mapping[str, Any]]] = {}
    if plugin_settings := moved_plugin_settings(current, output.parent):
        tables["plugins"] = (PluginSettings, plugin_settings)
    tables["build"] = (BuildSettings, {"language": language} if language else {})
    starter = starter_config(plugins, chosen, tables)
    if dry_run:
        click.echo(starter.text, nl=False, file=results())
    else:
        _write(output, starter.text, force)
        click.echo(f"{output} is written.", err=True)
    show([*plugins.problems(), *plugins.unknown_names()])
    if starter.variables:
        click.echo("Set these variables of the environment:", err=True)
        for variable, meaning in starter.variables.items():
            click.echo(f"  {variable}  {meaning}", err=True)
    if starter.unfilled:
        click.echo("Fill in these settings, which are required:", err=True)
        for setting, meaning in starter.unfilled.items():
            click.echo(f"  {setting}  {meaning}", err=True)
    if not dry_run:
        click.echo(f"Then check it:  deckwright check {output}", err=True)


def _require_language(language: str | None) -> None:
    from deckwright.errors import DataError
    from deckwright.toolkit.languages import language_tag

    if language:
        try:
            language_tag(language)
        except DataError as error:
            raise click.UsageError(str(error)) from None


def _write(path: Path, text: str, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}.") from None


def _found(names: Iterable[str], offers: Iterable[ProviderInfo]) -> list[ProviderInfo]:
    """Return the providers of these names, each once.

    Raises:
        click.UsageError: A name means none, or several of different types.
    """
    from deckwright.config.settings import did_you_mean

    spellings: dict[str, list[ProviderInfo]] = {}
    for info in offers:
        for spelling in (info.name, f"{info.type}/{info.name}", f"{info.type}.{info.name}"):
            spellings.setdefault(spelling, []).append(info)
    found: list[ProviderInfo] = []
    faults = []
    for name in names:
        meant = spellings.get(name, [])
        if not meant:
            its_name = re.split(r"[/.]", name, maxsplit=1)[-1]
            elsewhere = [spelling for spelling in spellings if spelling.endswith(its_name)]
            near = did_you_mean(name, elsewhere or spellings)
            faults.append(f"No plugin describes a provider {name!r}{near or '.'}")
        elif len(meant) > 1:
            choices = " or ".join(f"{info.type}/{info.name}" for info in meant)
            faults.append(f"Several providers are called {name!r}: write {choices}.")
        elif meant[0] not in found:
            found.append(meant[0])
    if faults:
        raise click.UsageError("\n".join([*faults, "`deckwright providers` lists them all."]))
    return found


def _ask(
    offers: Iterable[ProviderInfo], default: Iterable[ProviderInfo], types: Mapping[str, ProviderType]
) -> list[ProviderInfo]:
    """Ask the user for the providers of each type."""
    from rich.console import Console

    from deckwright.providers.engine import Engine

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    console.print(f"Choose by number or name, several with a comma; {NONE} for none.")
    chosen: list[ProviderInfo] = []
    for type in types:
        known = [info for info in offers if info.type == type]
        # Another engine than this process is chosen in [build].
        if not known or issubclass(types[type].contract, Engine):
            continue
        console.print(f"\n{type}: {types[type].summary}", style="bold")
        table = plain_table("", "", "")
        for number, info in enumerate(known, 1):
            table.add_row(f"{number:>2}", info.name, info.summary)
        console.print(table)
        usual = [str(known.index(info) + 1) for info in default if info.type == type]

        def parse(answer: str, known: list[ProviderInfo] = known) -> list[ProviderInfo]:
            words = re.split(r"[,\s]+", answer.strip(", \t"))
            numbers = {str(number): info.name for number, info in enumerate(known, 1)}
            return [] if words == [NONE] else _found([numbers.get(word, word) for word in words], known)

        chosen += click.prompt(type, default=", ".join(usual) or NONE, value_proc=parse, err=True)
    return chosen
