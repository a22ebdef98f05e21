"""The configuration: TOML or JSON in, settings of each configured provider out, every fault with its place.

`Config` holds what was written; `${VAR}` is replaced when a value is asked for, so that a variable that is
not set concerns only those who need it. `provider_configs()` is the one reading of the `providers` section.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import tomli

from deckwright.errors import ConfigError, SettingError
from deckwright.places import lines_of
from deckwright.secrets import FromEnvironment, masked, secret_values, texts_in
from deckwright.settings import did_you_mean, read_settings, setting_names, unknown_setting

T = TypeVar("T")

# Looked for in the working directory when no configuration is named.
FILE_NAMES = ("deckwright.toml", "deckwright.json")
# What an instance says to the registry rather than to its provider.
REGISTRY_KEYS = frozenset({"type", "pipelines"})
EVERY_PIPELINE = "*"
# What the old format had at the top, each with one provider in it.
OLD_SECTIONS = ("data", "audio", "image", "sync")
# Tables and lists within each other; what goes deeper is a mistake, or meant to do harm.
DEEPEST = 100

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


class UnsetVariableError(SettingError):
    """A `${VAR}` without a default names a variable that is not set; `key` is dotted."""


class Config:
    """A configuration.

    Args:
        data: What is configured, nested as in the file.
        path: The file it was read from, for messages; None when there is none.
    """

    def __init__(self, data: Mapping[str, Any], *, path: Path | None = None, text: str = "") -> None:
        self._data = data
        self._text = text
        self.path = path

    def __repr__(self) -> str:
        # Never the values: they may hold a key.
        return f"<Config {self.path or 'without a file'}>"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Config:
        """Read a TOML or JSON file, as its ending says.

        Raises:
            ConfigError: It cannot be read, or is not well-formed; the message says where.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8 text ({error.reason}, byte {error.start}).") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"{path}: the configuration cannot be read: {reason}.") from None
        return cls(_parse(path, text), path=path, text=text)

    @classmethod
    def find(cls) -> Config:
        """Read the configuration in the working directory; without one, the embedded default."""
        for name in FILE_NAMES:
            if Path(name).is_file():
                return cls.load(name)
        return cls(tomli.loads(Path(__file__).with_name("default.toml").read_text(encoding="utf-8")))

    @property
    def is_json(self) -> bool:
        """Whether it was read from a JSON file."""
        return self.path is not None and self.path.suffix == ".json"

    @property
    def folder(self) -> Path:
        """What relative paths of plugins start from: the file's folder, or the working directory."""
        return self.path.parent if self.path else Path()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value at a dotted key such as `"providers.audio"`, variables replaced.

        Raises:
            ConfigError: A variable in it is not set and has no default.
        """
        value = self._lookup(key, default)
        return value if value is default else self._replaced_or_told(value, key)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as a new dict, variables replaced.

        Raises:
            ConfigError: A variable in it is not set and has no default.
        """
        result: dict[str, Any] = self._replaced_or_told(self._data, "")
        return result

    def section(self, name: str, settings_class: type[T]) -> T:
        """Read one top-level section, such as `plugins`, as an attrs class; one that is absent is empty.

        Raises:
            ConfigError: It is not a table, or a setting in it is unknown or wrong.
        """
        table = self.get(name, {})
        if not isinstance(table, Mapping):
            raise ConfigError(f"{self.where(name)}: should be a table.")
        known = setting_names(settings_class)
        if unknown := [key for key in table if key not in known]:
            raise ConfigError([f"{self.where(name)}: {unknown_setting(key, known)}" for key in unknown])
        try:
            return read_settings(settings_class, table)
        except SettingError as error:
            raise ConfigError(f"{self.where(f'{name}.{error.key}')}: {error.problem}") from None

    def provider_configs(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Read the `providers` section.

        Returns:
            Type, then instance, to what is configured: its settings as written, with shared ones from
            `[apis]` and `[TYPE_generation]` merged in beneath, `type` always the provider's name, and
            `pipelines` always a list.

        Raises:
            ConfigError: It is missing, empty or wrong in itself: every fault that was found.
        """
        return _ProvidersReader(self, self._data).read()

    def odd_sections(self, configs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
        """Return a remark for every section that nothing reads: a slip of the pen, or an old program's."""
        known = {"providers", "plugins", "build", "apis", *(f"{type}_generation" for type in configs)}
        odd = [(str(key), str(key), known) for key in self._data if key not in known]
        names = {config["type"] for instances in configs.values() for config in instances.values()}
        apis = self._data.get("apis")
        if isinstance(apis, Mapping):
            odd += [
                (f"apis.{key}", str(key), {"base", *names}) for key in apis if key not in {"base", *names}
            ]
        return [
            f"{self.where(path)}: nothing reads this section{did_you_mean(key, near)}"
            for path, key, near in odd
        ]

    def is_shared_by_all(self, key: str, instance_path: str) -> bool:
        """Say whether a setting of an instance is from `[apis.base]`, which may hold what only others need."""
        return self._lookup(f"{instance_path}.{key}") is None and self._lookup(f"apis.base.{key}") is not None

    def resolved(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of one instance with the variables replaced, and no table or list shared.

        Raises:
            UnsetVariableError: A variable is not set and has no default; its `key` starts from the instance.
        """
        replaced = {}
        for key, value in settings.items():
            kind = value.__class__
            if kind is str:
                if "${" in value:
                    replaced[key] = self._replaced_text(value, key)
            elif (kind is dict or kind is list) and key != "pipelines":
                replaced[key] = self._replaced(value, key)
        return {**settings, **replaced} if replaced else settings

    def where(self, key: str) -> str:
        """Say where a dotted key was written: the file, its line or that of the table around it, and the key."""
        file = f"{self.path}, " if self.path else ""
        place = key
        while place and place not in self._lines:
            place = place.rpartition(".")[0]
        return f"{file}line {self._lines[place]}, {key}" if place else f"{file}{key}"

    @cached_property
    def _lines(self) -> dict[str, int]:
        return lines_of(self._text, is_json=self.is_json)

    def _lookup(self, key: str, default: Any = None) -> Any:
        value: Any = self._data
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return default
            value = value[part]
        return value

    def _replaced_or_told(self, value: Any, key: str) -> Any:
        try:
            return self._replaced(value, key)
        except UnsetVariableError as error:
            raise ConfigError(f"{self.where(error.key)}: {error.problem}", hint=error.hint) from None

    def _replaced(self, value: Any, key: str) -> Any:
        if isinstance(value, str):
            return value if "${" not in value else self._replaced_text(value, key)
        if isinstance(value, Mapping):
            return {
                name: self._replaced(inner, f"{key}.{name}" if key else str(name))
                for name, inner in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._replaced(inner, key) for inner in value]
        return value

    def _replaced_text(self, text: str, key: str) -> str:
        values: list[str] = []

        def replacement(match: re.Match[str]) -> str:
            name, default = match.groups()
            value = os.environ.get(name)
            if value is not None:
                values.append(value)
                return value
            if default is None:
                raise UnsetVariableError(
                    key,
                    f"the environment variable {name} is not set.",
                    hint=f"Set it, or write ${{{name}:a default}}.",
                )
            return str(default)

        replaced = _VARIABLE.sub(replacement, text)
        if not values:
            return replaced
        marked = FromEnvironment(replaced)
        marked.values = tuple(values)
        return marked


class _ProvidersReader:
    """Reads the `providers` section and gathers every fault in it."""

    def __init__(self, config: Config, data: Mapping[str, Any]) -> None:
        self._config = config
        self._data = data
        self._faults: list[str] = []

    def read(self) -> dict[str, dict[str, dict[str, Any]]]:
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for type_name, section in self._sections():
            shared = self._shared_settings(type_name)
            configs = found[type_name] = {}
            for key, table in section.items():
                config = self._instance(type_name, key, table, shared)
                if config is not None:
                    configs[key] = config
        self._faults += file_conflicts(
            (f"providers.data.{key}", config.get("files")) for key, config in found.get("data", {}).items()
        )
        if not self._faults and not any(found.values()):
            self._fault("providers", "is empty; a configuration names at least one provider.")
        if self._faults:
            raise ConfigError(tuple(dict.fromkeys(self._faults)))
        return found

    def _fault(self, key: str, problem: str) -> None:
        self._faults.append(f"{self._config.where(key)}: {problem}")

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
        apis = self._table("apis")
        base = self._table("base", apis, "apis.base")
        generation = self._table(f"{type_name}_generation")
        defaults = self._table("providers", generation, f"{type_name}_generation.providers")

        @cache
        def shared(name: str) -> dict[str, Any]:
            return {
                **base,
                **self._table(name, defaults, f"{type_name}_generation.providers.{name}"),
                **self._table(name, apis, f"apis.{name}"),
            }

        return shared

    def _table(self, key: str, parent: Mapping[str, Any] | None = None, path: str = "") -> Mapping[str, Any]:
        table = (self._data if parent is None else parent).get(key, {})
        if not isinstance(table, Mapping):
            self._fault(path or key, "should be a table.")
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
            header = f"[providers.{_toml_key(type_name)}.{_toml_key(name)}]"
            lines = "\n".join(
                [header, *(f"{_toml_key(key)} = {_toml_value(value)}" for key, value in shown.items())]
            )
        indented = lines.replace("\n", "\n    ")
        self._fault(path, f"this is the old format. Update it by writing instead:\n    {indented}")


def file_conflicts(claims: Iterable[tuple[str, Any]]) -> list[str]:
    """Return a fault for each file that two owners claim; claims are of owner and list of files."""
    owners: dict[str, str] = {}
    conflicts = []
    for owner, files in claims:
        for file in files if _is_list_of_names(files) else ():
            if owners.setdefault(file, owner) != owner:
                conflicts.append(f"{file!r} is managed by both {owners[file]} and {owner}")
    return [f"File conflicts detected: {conflict}." for conflict in conflicts]


def secrets_in(settings: Mapping[str, Any]) -> list[str]:
    """Return every value that must not be shown of settings as written: a secret's, or from the environment."""
    found = list(secret_values(settings))
    for text in texts_in(settings):
        found += [os.environ.get(name) or default for name, default in _VARIABLE.findall(text)]
    return found


def _toml_key(key: object) -> str:
    key = str(key)
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        items = (f"{_toml_key(key)} = {_toml_value(inner)}" for key, inner in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False, default=str)


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


def _parse(path: Path, text: str) -> Mapping[str, Any]:
    if path.suffix not in (".toml", ".json"):
        raise ConfigError(f"{path}: a configuration ends in .toml or .json.")
    try:
        is_toml = path.suffix == ".toml"
        data = tomli.loads(text) if is_toml else json.loads(text, object_pairs_hook=_no_duplicates)
    except _DuplicateKeyError as error:
        raise ConfigError(f"{path}: the key {error} is written twice in one object.") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply.") from None
    except ValueError as error:  # what is not well-formed, and numbers of thousands of digits
        raise ConfigError(f"{path}: {error}.") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration is an object, not {type(data).__name__}.")
    if _goes_deeper(data, DEEPEST):
        raise ConfigError(f"{path}: nested too deeply.")
    return data


def _goes_deeper(data: Any, depth: int) -> bool:
    level = [data]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


class _DuplicateKeyError(Exception):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(repr(next(key for key in keys if keys.count(key) > 1)))
    return table
