"""The `providers` section of a configuration, and the sections that providers share settings in.

Every fault is found at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from deckwright.config.loader import Config
from deckwright.config.settings import did_you_mean
from deckwright.config.toml import toml_key, toml_value
from deckwright.diagnostics import Diagnostic
from deckwright.errors import ConfigError
from deckwright.secrets import masked

# Type, then instance, to its settings, among them `type` and `pipelines`.
ProviderConfigs = dict[str, dict[str, dict[str, Any]]]

# The keys of an instance that are for the registry, not for its provider.
REGISTRY_KEYS = frozenset({"type", "pipelines"})
EVERY_PIPELINE = "*"
# What the old format had at the top, each with one provider in it.
OLD_SECTIONS = ("data", "audio", "image", "sync")


def read_provider_configs(config: Config) -> ProviderConfigs:
    """Read the `providers` section.

    Returns:
        Type, then instance, to what is configured: its settings as written, with shared ones from
        `[apis]` and `[TYPE_generation]` merged in beneath, `type` always the provider's name, and
        `pipelines` always a list.

    Raises:
        ConfigError: It is missing, empty or wrong in itself: every fault that was found.
    """
    return _Reader(config).read()


def unread_sections(config: Config, configs: ProviderConfigs) -> list[Diagnostic]:
    """Return a warning for every section that nothing reads: a typing mistake, or an old program's."""
    # An editor reads "$schema", and we do not.
    known = {"providers", "plugins", "build", "apis", "$schema", *(f"{type}_generation" for type in configs)}
    unread = [(str(key), str(key), known) for key in config.written if key not in known]
    names = {str(settings["type"]) for instances in configs.values() for settings in instances.values()}
    apis = config.written.get("apis")
    if isinstance(apis, Mapping):
        unread += [(f"apis.{key}", str(key), {"base", *names}) for key in apis if key not in {"base", *names}]
    return [
        Diagnostic("warning", config.where(path), f"nothing reads this section{did_you_mean(key, near)}")
        for path, key, near in unread
    ]


def shared_sections(type: str, name: str) -> tuple[tuple[str, ...], ...]:
    """Return the sections whose settings an instance takes if its own table has none, the strongest first."""
    return ("apis", name), (f"{type}_generation", "providers", name), ("apis", "base")


def origin(config: Config, type: str, instance: str, name: str, key: str) -> str:
    """Return the dotted key of the section that a setting of an instance is written in."""
    own = ("providers", type, instance)
    for section in (own, *shared_sections(type, name)):
        table: Any = config.written
        for part in section:
            table = table.get(part) if isinstance(table, Mapping) else None
        if isinstance(table, Mapping) and key in table:
            return ".".join(section)
    return ".".join(own)


def file_conflicts(claims: Iterable[tuple[str, Any]]) -> list[str]:
    """Return a message for each file that two owners claim; a claim is an owner and a list of files."""
    owners: dict[str, str] = {}
    conflicts = []
    for owner, files in claims:
        for file in files if _is_list_of_names(files) else ():
            if owners.setdefault(file, owner) != owner:
                conflicts.append(f"{file!r} is managed by both {owners[file]} and {owner}")
    return [f"File conflicts detected: {conflict}." for conflict in conflicts]


class _Reader:
    """Reads the `providers` section, and collects every fault in it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._data = config.written
        self._faults: list[Diagnostic] = []

    def read(self) -> ProviderConfigs:
        found: ProviderConfigs = {}
        for type_name, section in self._sections():
            shared = self._shared_settings(type_name)
            configs = found[type_name] = {}
            for key, table in section.items():
                config = self._instance(type_name, key, table, shared)
                if config is not None:
                    configs[key] = config
        claims = [
            (f"providers.data.{key}", config.get("files")) for key, config in found.get("data", {}).items()
        ]
        self._faults += [Diagnostic("error", "", conflict) for conflict in file_conflicts(claims)]
        if not self._faults and not any(found.values()):
            self._fault("providers", "is empty; a configuration names at least one provider.")
        if self._faults:
            raise ConfigError(dict.fromkeys(self._faults))
        return found

    def _fault(self, key: str, problem: str) -> None:
        self._faults.append(Diagnostic("error", self._config.where(key), problem))

    def _sections(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        providers = self._data.get("providers")
        old = {key: self._data[key] for key in OLD_SECTIONS if _is_old_format(self._data.get(key))}
        for key, value in old.items():
            self._old_format(key, key, value)
        if providers is None:
            if not old:
                near = did_you_mean("providers", [key for key in self._data if isinstance(key, str)])
                self._fault("providers", f"the section is missing; a configuration needs one{near}")
        elif not isinstance(providers, Mapping):
            self._fault("providers", "should be a table of types, such as [providers.audio.native].")
        else:
            for type_name, section in providers.items():
                key = f"providers.{type_name}"
                if not isinstance(section, Mapping):
                    self._fault(key, "should be a table of instances, such as [providers.audio.native].")
                elif _is_old_format(section):
                    self._old_format(key, type_name, section)
                else:
                    yield type_name, section

    def _instance(
        self, type_name: str, key: str, table: Any, shared: Callable[[str], dict[str, Any]]
    ) -> dict[str, Any] | None:
        if not isinstance(table, dict) and not isinstance(table, Mapping):
            self._fault(f"providers.{type_name}.{key}", "should be a table of settings.")
            return None
        name = table.get("type", type_name)
        if name == type_name:
            name = key
        elif not isinstance(name, str) or not name:
            self._fault(f"providers.{type_name}.{key}.type", "should be the name of a provider.")
            return None
        pipelines = table.get("pipelines")
        if not _is_list_of_names(pipelines):
            if pipelines is None:
                problem = (
                    "missing required 'pipelines' field; pipelines = [\"*\"] opens it to every pipeline."
                )
                self._fault(f"providers.{type_name}.{key}", problem)
            else:
                problem = 'should be a list of names, such as ["vocabulary"], or ["*"] for every pipeline.'
                self._fault(f"providers.{type_name}.{key}.pipelines", problem)
            return None
        config = {**shared(name), **table}
        config["type"] = name
        return config

    def _shared_settings(self, type_name: str) -> Callable[[str], dict[str, Any]]:
        """Return a function from a provider's name to the settings that all instances of it share."""
        # A fault in these is reported even if no instance uses them.
        for section in (("apis", "base"), (f"{type_name}_generation", "providers")):
            self._section(section)

        @cache
        def shared(name: str) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for section in reversed(shared_sections(type_name, name)):
                found |= self._section(section)
            return found

        return shared

    def _section(self, section: tuple[str, ...]) -> Mapping[str, Any]:
        table = self._data
        for depth, part in enumerate(section, 1):
            table = table.get(part, {})
            if not isinstance(table, Mapping):
                self._fault(".".join(section[:depth]), "should be a table.")
                return {}
        return table

    def _old_format(self, path: str, type_name: str, section: Mapping[str, Any]) -> None:
        name = section["type"]
        settings = {key: value for key, value in section.items() if key != "type"}
        settings = {"pipelines": [EVERY_PIPELINE], **settings}
        shown = masked(settings)
        if self._config.is_json:
            lines = json.dumps({"providers": {type_name: {name: shown}}}, indent=2, default=str)
        else:
            header = f"[providers.{toml_key(type_name)}.{toml_key(name)}]"
            lines = "\n".join(
                [header, *(f"{toml_key(key)} = {toml_value(value)}" for key, value in shown.items())]
            )
        indented = lines.replace("\n", "\n    ")
        self._fault(path, f"this is the old format. Update it by writing instead:\n    {indented}")


def _is_old_format(section: Any) -> bool:
    """Tell `{"type": "forvo", ...}`, where a table of instances should be."""
    return isinstance(section, Mapping) and isinstance(section.get("type"), str)


def _is_list_of_names(value: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    try:
        # Joining refuses anything but text, and asks every item faster than a loop.
        return bool("".join(value)) and "" not in value
    except TypeError:
        return False
