"""What a command works with: the configuration, the plugins, the providers, the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deckwright.cli.plugin_output import PluginOutput, plugin_output

if TYPE_CHECKING:
    from deckwright.config.loader import Config
    from deckwright.plugins import Plugins
    from deckwright.registry import ProviderRegistry

# How many seconds a command gives a plugin for each call, unless the configuration says otherwise.
TIME_LIMIT = 30.0


def read_config(path: Path | None) -> Config:
    """Return the configuration that a command uses: the one named, or else the one that is found."""
    from deckwright.config.loader import Config

    return Config.load(path) if path else Config.find()


def mask_plugins(config: Config) -> PluginOutput:
    """From now to the end of the command, mask the configuration's secrets in what plugins print."""
    from deckwright.config.loader import secrets_in

    context = click.get_current_context()
    if context.obj is None:
        context.obj = context.with_resource(plugin_output())
    output: PluginOutput = context.obj
    output.secrets.update(secrets_in(config.written))
    return output


@contextmanager
def same_folder() -> Iterator[None]:
    """Return to the working folder at the end: a plugin may change it, and relative paths must stay right."""
    folder = Path.cwd()
    try:
        yield
    finally:
        os.chdir(folder)


def find_plugins(config: Config) -> Plugins:
    """Load the plugins that a command uses, and set up no provider."""
    from deckwright.plugins import Plugins

    mask_plugins(config)
    with same_folder():
        return Plugins.from_config(config, time_limit=TIME_LIMIT)


@contextmanager
def open_registry(path: Path | None) -> Iterator[ProviderRegistry]:
    """Set up the providers of a configuration for a command, and close them at its end."""
    from deckwright.registry import ProviderRegistry

    config = read_config(path)
    mask_plugins(config)
    with same_folder():
        registry = ProviderRegistry.from_config(config, time_limit=TIME_LIMIT)
    try:
        yield registry
    finally:
        registry.close()


def store_folder(path: Path | None) -> Path:
    """Return the folder of the store, by the configuration that a command uses."""
    from deckwright.builder.plan import store_folder as folder_of_store
    from deckwright.builder.settings import BuildSettings

    config = read_config(path)
    return folder_of_store(config, config.section("build", BuildSettings)).absolute()
