"""Fixtures for the tests of plugins. pytest finds them by itself wherever Deckwright is installed.

Every run of pytest there imports this module, so it imports next to nothing before a fixture is used.
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
    """What the fixture `registry_with` is."""

    def __call__(
        self,
        plugin: object = None,
        config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        strict: bool = True,
    ) -> ProviderRegistry:
        """Make a registry with the built-in plugins and this one; it is closed at the end of the test.

        Args:
            plugin: A module or object with hooks, or the path of a plugin's file or folder.
            config: A configuration or its path. Without one, no provider is configured, and
                `registry.plugins.make` makes those that are wanted. Plugins that it names are loaded as well;
                those of installed packages and of the environment are not.
            strict: Raise for anything that is wrong. Otherwise it is in `failures`, `warnings` and
                `plugins.records`.

        Raises:
            ConfigError: The configuration is wrong in itself.
            ProvidersFailedError: Under `strict`: a plugin or provider failed, or a setting is unknown.
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
                # Asked for in any case, so that plugins are looked for now.
                problems = made.problems()
                if strict and problems:
                    raise ProvidersFailedError(problems)
            return stack.enter_context(made)

        yield make


def _with_plugins(config: Mapping[str, Any] | str | os.PathLike[str] | None, paths: list[Path]) -> Config:
    """Return a configuration by which no installed plugin is loaded, and those in `paths` are."""
    from deckwright.config.loader import Config

    given: Config
    text = ""
    if isinstance(config, (str, os.PathLike)):
        given = Config.load(config)
        text = Path(config).read_text(encoding="utf-8-sig")  # for the lines in messages
    else:
        given = Config(config or {})
    written = dict(given.written)
    plugins = written.get("plugins", {})
    if isinstance(plugins, Mapping):  # if it is not, that is for the registry to tell
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
    """A stand-in for Forvo, at `base_url` and with the `key` that it takes."""
    from deckwright.testing.servers import ForvoServer

    with ForvoServer() as server:
        yield server


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A stand-in for OpenAI's images, at `base_url` and with the `key` that it takes."""
    from deckwright.testing.servers import OpenAIServer

    with OpenAIServer() as server:
        yield server


@pytest.fixture
def runware_server() -> Iterator[RunwareServer]:
    """A stand-in for Runware, at `base_url` and with the `key` that it takes."""
    from deckwright.testing.servers import RunwareServer

    with RunwareServer() as server:
        yield server
