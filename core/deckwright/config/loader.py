"""The configuration as it is written: TOML or JSON, with `${VAR}` replaced and a location for every key.

`${VAR}` is replaced when a value is read, so that a variable that is not set only affects those who need it.
`config.providers` reads the section `providers`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import tomli

from deckwright.config.locations import lines_of
from deckwright.config.settings import read_settings, setting_names, unknown_setting
from deckwright.diagnostics import Diagnostic
from deckwright.errors import ConfigError, SettingError
from deckwright.secrets import FromEnvironment, is_secret_key, secret_values, texts_in

T = TypeVar("T")

# Looked for in the working directory when no configuration is named.
FILE_NAMES = ("deckwright.toml", "deckwright.json")
# Tables and lists within each other; deeper nesting is a mistake, or an attack.
MAX_DEPTH = 100

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


class UnsetVariableError(SettingError):
    """A `${VAR}` without a default names a variable that is not set; `key` is dotted."""


class Config:
    """A configuration.

    Args:
        written: What is configured, nested as in the file.
        path: The file it was read from, for messages; None when there is none.
    """

    def __init__(self, written: Mapping[str, Any], *, path: Path | None = None, text: str = "") -> None:
        self.written = written
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

    @classmethod
    def of(cls, config: Config | Mapping[str, Any] | str | os.PathLike[str] | None) -> Config:
        """Return a configuration given as itself, as a mapping or as a file; for None, the one that is found."""
        if config is None or isinstance(config, Config):
            return cls.find() if config is None else config
        return cls(config) if isinstance(config, Mapping) else cls.load(config)

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
        return value if value is default else self._replaced_or_raise(value, key)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as a new dict, variables replaced.

        Raises:
            ConfigError: A variable in it is not set and has no default.
        """
        result: dict[str, Any] = self._replaced_or_raise(self.written, "")
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
            where = self.where(name)
            raise ConfigError(Diagnostic("error", where, unknown_setting(key, known)) for key in unknown)
        try:
            return read_settings(settings_class, table)
        except SettingError as error:
            fault = Diagnostic("error", self.where(f"{name}.{error.key}"), error.problem)
            raise ConfigError([fault.redacted(secret_values(table))]) from None

    def resolved(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of one instance with the variables replaced, and no table or list shared.

        Raises:
            UnsetVariableError: A variable is not set and has no default; its `key` starts from the instance.
        """
        return {key: self._replaced(value, key) for key, value in settings.items()}

    def where(self, key: str) -> str:
        """Return where a dotted key is written: the file, the line of the key or of its table, and the key."""
        file = f"{self.path}, " if self.path else ""
        known = key
        while known and known not in self._lines:
            known = known.rpartition(".")[0]
        return f"{file}line {self._lines[known]}, {key}" if known else f"{file}{key}"

    @cached_property
    def _lines(self) -> dict[str, int]:
        return lines_of(self._text, is_json=self.is_json)

    def _lookup(self, key: str, default: Any = None) -> Any:
        value: Any = self.written
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return default
            value = value[part]
        return value

    def _replaced_or_raise(self, value: Any, key: str) -> Any:
        try:
            return self._replaced(value, key)
        except UnsetVariableError as error:
            raise ConfigError(f"{self.where(error.key)}: {error.problem}", hint=error.hint) from None

    def _replaced(self, value: Any, key: str) -> Any:
        if isinstance(value, str):
            return value if "${" not in value else self._replaced_text(value, key)
        if isinstance(value, (int, float)):
            return value
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
                # A key does not belong into the file.
                is_secret = is_secret_key(key.rpartition(".")[2])
                raise UnsetVariableError(
                    key,
                    f"the environment variable {name} is not set.",
                    hint="Set it." if is_secret else f"Set it, or write ${{{name}:a default}}.",
                )
            return str(default)

        replaced = _VARIABLE.sub(replacement, text)
        if not values:
            return replaced
        marked = FromEnvironment(replaced)
        marked.values = tuple(values)
        return marked


def secrets_in(settings: Mapping[str, Any]) -> list[str]:
    """Return every value among unresolved settings that must not be shown: secrets, and variables' values."""
    found = list(secret_values(settings))
    for text in texts_in(settings):
        found += [os.environ.get(name) or default for name, default in _VARIABLE.findall(text)]
    return found


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
    if _goes_deeper(data, MAX_DEPTH):
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
