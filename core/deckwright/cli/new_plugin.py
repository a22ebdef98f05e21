"""`deckwright new-plugin`: writes the files of a new plugin, a working example to change."""

from __future__ import annotations

import os
from pathlib import Path

import click

from deckwright import scaffold


@click.command("new-plugin", short_help="Write the files of a new plugin.")
@click.argument("name")
@click.option(
    "-t",
    "--type",
    "type",
    type=click.Choice(tuple(scaffold.SUMMARIES)),
    required=True,
    help="What its provider delivers.",
)
@click.option(
    "--single-file", is_flag=True, help="Write one file, for [plugins] paths, instead of a package."
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The folder to write it into.  [default: this one]",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
def command(name: str, type: str, single_file: bool, folder: Path, dry_run: bool) -> None:
    """Write a new plugin called NAME: a working example with tests, for you to change.

    It is a folder with a package that can be installed, tested and published. With --single-file it is one module
    for [plugins] paths in a configuration. No existing file is overwritten.

    The plugin acme-bells has the module acme_bells, and a provider of the same name. A leading "deckwright-" is
    dropped from the provider's name: deckwright-bells has the provider bells.
    """
    from deckwright.errors import DeckwrightError

    names = scaffold.plugin_names(name)
    if names.provider in _built_in(type):
        raise DeckwrightError(
            f"{name!r} cannot be the name of a plugin: the {type} provider {names.provider} is built in.",
            hint="Choose another one, such as my-bells.",
        )
    if single_file:
        files, target = scaffold.single_file(names, type), folder / f"{names.module}.py"
    else:
        files, target = scaffold.package_files(names, type), folder / names.distribution
        folder = target
    if os.path.lexists(target):  # unlike the methods of `Path`, it accepts any path
        raise DeckwrightError(
            f"{target} exists, and is not overwritten.",
            hint="Choose another name, or another folder with --output.",
        )
    if not dry_run:
        scaffold.write_files(folder, files)
    click.echo("Would be written:" if dry_run else "Written:")
    for path in files:
        click.echo(f"  {folder / path}")
    click.echo(f"In a configuration, its provider is [providers.{type}.{names.provider}].")
    if dry_run:
        return
    if single_file:
        words = "spanish.words" if type == "data" else "spanish.csv"
        click.echo("Add the lines at its top to your deckwright.toml. Then:")
        steps = ("deckwright plugins", "deckwright check", f"deckwright build {words}")
    else:
        click.echo("Next:")
        steps = (f'cd "{target}"' if " " in str(target) else f"cd {target}", "pip install tox", "tox")
    for step in steps:
        click.echo(f"  {step}")


def _built_in(type: str) -> set[str]:
    """Return the names of the built-in providers of a type."""
    from deckwright.plugins import Plugins, PluginSettings

    plugins = Plugins(PluginSettings(installed=False, only=[]))
    return {info.name for info, _ in plugins.describe() if info.type == type}
