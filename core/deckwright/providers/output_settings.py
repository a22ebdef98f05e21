"""The settings of a provider that may change what it delivers, for the keys of the cache."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import attrs

from deckwright.config.settings import default_of
from deckwright.secrets import is_secret_key


def output_settings(settings: Any) -> dict[str, Any]:
    """Return the settings of a provider that may change what it delivers, as values that JSON has.

    These are not among them: texts under a name that stands for a secret, unless they are marked
    `metadata={"changes_output": True}`; those that are marked `False`; and those whose default is nothing and that are
    not set, because a setting that a new version adds must not make everything look changed.

    Args:
        settings: An instance of an attrs class, or a mapping.

    Raises:
        TypeError: A value has no form in JSON.
    """
    if isinstance(settings, Mapping):
        return _plain_table(settings)
    shown = {}
    for field in attrs.fields(type(settings)):
        value = getattr(settings, field.name)
        marked = field.metadata.get("changes_output")
        is_secret = marked is None and isinstance(value, str) and is_secret_key(field.name)
        if marked is not False and not is_secret and (value or value != default_of(field)):
            shown[field.name] = _plain(value)
    return shown


def _plain_table(table: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(key): _plain(value)
        for key, value in table.items()
        if not (isinstance(value, str) and is_secret_key(str(key)))
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain_table(value)
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(inner) for inner in value), key=repr)
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if attrs.has(type(value)):
        return output_settings(value)
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if isinstance(value, (str, os.PathLike, date, Decimal)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
