"""Fixtures for the tests of plugins. pytest finds them automatically when Deckwright is installed.

Every run of pytest imports this module, so it imports almost nothing before a fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from deckwright.config.loader import Config
    from deckwright.registry import ProviderRegistry
    from deckwright.testing.servers import ForvoServer, OpenAIServer, RunwareServer


class RegistryWith(Protocol):
    """The type of the fixture `registry_with`."""

    def __call__(
        self,
        plugin: object = None,
        config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        strict: bool = True,
    ) -> ProviderRegistry:
        """Make a registry with the built-in plugins and this one. It is closed after the test.

        Args:
            plugin: A module or object with hooks, or the path of a plugin's file or folder.
            config: A configuration or its path. Without one, no provider is configured; use
                `registry.plugins.make`. Plugins that it names are loaded too; plugins from installed packages
                and from the environment are not.
            strict: Raise all problems. Otherwise they are in `failures`, `warnings` and `plugins.records`.

        Raises:
            ConfigError: The configuration is invalid.
            ProvidersFailedError: With `strict`, if a plugin or provider failed, or a setting is unknown.
        """
        ...


@pytest.fixture
def registry_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryWith]:
    """A function that makes a registry with the built-in plugins and one more: see `RegistryWith`."""
    from deckwright.errors import ProvidersFailedError
    from deckwright.plugins.discovery import ENVIRONMENT_VARIABLE
    from deckwright.registry import ProviderRegistry

    with ExitStack() as stack:

        def make(
            plugin: object = None,
            config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
            *,
            strict: bool = True,
        ) -> ProviderRegistry:
            monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
            paths = [Path(plugin).absolute()] if isinstance(plugin, (str, os.PathLike)) else []
            objects = [] if plugin is None or paths else [plugin]
            complete = _with_plugins(config, paths)
            if config is not None:
                made = ProviderRegistry.from_config(complete, plugins=objects, strict=strict)
            else:
                made = ProviderRegistry(plugins=objects)
                made.config = complete
                # Called even if not strict, so that plugins are loaded now.
                problems = made.problems()
                if strict and problems:
                    raise ProvidersFailedError(problems)
            return stack.enter_context(made)

        yield make


def _with_plugins(config: Mapping[str, Any] | str | os.PathLike[str] | None, paths: list[Path]) -> Config:
    """Return a configuration that loads the plugins in `paths` and no installed ones."""
    from deckwright.config.loader import Config

    given: Config
    text = ""
    if isinstance(config, (str, os.PathLike)):
        given = Config.load(config)
        text = Path(config).read_text(encoding="utf-8-sig")  # for line numbers in messages
    else:
        given = Config(config or {})
    written = dict(given.written)
    plugins = written.get("plugins", {})
    if isinstance(plugins, Mapping):  # the registry reports anything else
        named = [*plugins.get("paths", ()), *map(str, paths)]
        written["plugins"] = {**plugins, "installed": False, "paths": named}
    return Config(written, path=given.path, text=text)


@pytest.fixture
def media_folder(tmp_path: Path) -> Path:
    """An empty folder for sounds and pictures."""
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def forvo_server() -> Iterator[ForvoServer]:
    """A stand-in for Forvo. Use its `base_url` and `key`."""
    from deckwright.testing.servers import ForvoServer

    with ForvoServer() as server:
        yield server


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A stand-in for OpenAI's image API. Use its `base_url` and `key`."""
    from deckwright.testing.servers import OpenAIServer

    with OpenAIServer() as server:
        yield server


@pytest.fixture
def runware_server() -> Iterator[RunwareServer]:
    """A stand-in for Runware. Use its `base_url` and `key`."""
    from deckwright.testing.servers import RunwareServer

    with RunwareServer() as server:
        yield server
