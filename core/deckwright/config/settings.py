"""Settings of a provider: from a mapping, as a configuration holds it, to an attrs class, checked.

A provider declares its settings as an ordinary attrs class: types are annotations, defaults are defaults,
limits are attrs validators, and `metadata={"help": ...}` says what a setting is for. `read_settings` makes an
instance of it and turns whatever does not fit into a `SettingError` that names the key.
"""

from __future__ import annotations

import difflib
import enum
import functools
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import attrs

from deckwright.config.constraints import in_words, limits_of
from deckwright.errors import SettingError
from deckwright.secrets import is_secret_key, masked, redact, texts_in

T = TypeVar("T")
R = TypeVar("R")
Reader = Callable[[Any], Any]
_MISFIT = object()


def _remembered(function: Callable[[Any], R]) -> Callable[[Any], R]:
    """Cache by class; `functools.cache` with a type that checkers take a class for."""
    return functools.cache(function)


def read_settings(settings_class: type[T], values: Mapping[str, Any]) -> T:
    """Make `settings_class` from `values`.

    Keys that the class does not know are passed over: the registry, which knows the file, warns of them.
    Numbers and booleans may be written as text, since that is what `${VAR}` gives.

    Args:
        settings_class: An attrs class.
        values: Settings by name.

    Raises:
        SettingError: A setting is missing, of the wrong type, or outside its limits.
    """
    arguments = {}
    for key, reader, type_name in _readers(settings_class):
        if key in values:
            value = values[key]
            if reader is not None:
                read = reader(value)
                if read is _MISFIT:
                    raise SettingError(key, f"should be {type_name}, not {_shown(key, value)}")
                value = read
            arguments[key] = value
    try:
        return settings_class(**arguments)
    except (TypeError, ValueError) as error:
        raise _setting_error(settings_class, arguments, values, error) from None


def describe_settings(settings_class: Any) -> list[dict[str, Any]]:
    """Return every setting of an attrs class: those that are required, then its own, then those it inherits.

    Returns:
        For each its `name`, its `type` in words, whether it is `required`, its `default` (None when there is none,
        when it is made of other settings, and for a secret, which may be somebody's key), its `limits` in words as
        far as its validators tell them, whether it is a `secret`, and its `help`.
    """
    types = {key: type_name for key, _, type_name in _readers(settings_class)}
    return [
        {
            "name": field.name,
            "type": types[field.name],
            "required": field.default is attrs.NOTHING,
            "default": _default(field),
            "limits": in_words(limits_of(field.validator)),
            "secret": is_secret_key(field.name),
            "help": str(field.metadata.get("help") or ""),
        }
        for field in sorted(attrs.fields(settings_class), key=_importance)
        if field.init
    ]


def output_settings(settings: Any) -> dict[str, Any]:
    """Return the settings of a provider that may change what it delivers, as values that JSON has.

    Left out are texts under a name that stands for a secret, unless they are marked
    `metadata={"changes_output": True}`; whatever is marked `False`; and what is left at a default of nothing: a setting
    that a new version adds must not make everything else look changed.

    Args:
        settings: An instance of an attrs class, or a mapping.

    Raises:
        TypeError: A value is of a type that cannot be told from others of it.
    """
    if isinstance(settings, Mapping):
        return _plain_table(settings)
    shown = {}
    for field in attrs.fields(type(settings)):
        value = getattr(settings, field.name)
        marked = field.metadata.get("changes_output")
        is_secret = marked is None and isinstance(value, str) and is_secret_key(field.name)
        if marked is not False and not is_secret and (value or value != _default(field)):
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
    raise TypeError(f"{type(value).__name__} cannot be told from others of its kind")


def unknown_setting(key: object, known: Iterable[str]) -> str:
    """Return a remark on a key that is none of `known`, with a did-you-mean where there is one."""
    return f"{key}: unknown setting{did_you_mean(str(key), known)}"


@_remembered
def setting_names(settings_class: Any) -> frozenset[str]:
    """Return the names of all settings of an attrs class."""
    return frozenset(field.name for field in attrs.fields(settings_class) if field.init)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `", did you mean X?"` for the nearest of `known`, or an empty string when none is near."""
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _importance(field: attrs.Attribute[Any]) -> tuple[bool, bool]:
    return field.default is not attrs.NOTHING, getattr(field, "inherited", False)


def _default(field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    if is_secret_key(field.name):
        return None
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return None if default.takes_self else default.factory()
    return None if default is attrs.NOTHING else default


def _setting_error(
    settings_class: type[Any], arguments: Mapping[str, Any], values: Mapping[str, Any], error: Exception
) -> SettingError:
    """Find the setting behind an error of an attrs class; called only when there was one."""
    for field in attrs.fields(settings_class):
        if field.name not in arguments:
            if field.init and field.default is attrs.NOTHING:
                return SettingError(field.name, "is required and missing")
        elif field.validator is not None:
            try:
                field.validator(None, field, arguments[field.name])
            except (TypeError, ValueError) as fault:
                value = values[field.name]
                reason = _limit(str(fault.args[0]) if fault.args else type(fault).__name__)
                if is_secret_key(field.name):
                    reason = redact(reason, texts_in(value))
                return SettingError(field.name, f"{_shown(field.name, value)} is not allowed ({reason})")
    return SettingError(settings_class.__name__, str(error))


def _limit(reason: str) -> str:
    """Cut an attrs validator's message down to the limit it states, without the value it repeats."""
    before_value = reason.rpartition(": ")[0] or reason.partition(" (got")[0]
    return before_value or reason


def _shown(key: str, value: object) -> str:
    return "the given secret" if is_secret_key(key) else repr(masked(value))


@_remembered
def _readers(settings_class: Any) -> tuple[tuple[str, Reader | None, str], ...]:
    hints = typing.get_type_hints(settings_class)
    return tuple(
        (
            field.name,
            None if field.converter else _reader(hints.get(field.name, Any)),
            _type_name(hints.get(field.name)),
        )
        for field in attrs.fields(settings_class)
        if field.init
    )


def _reader(hint: Any) -> Reader | None:
    """Return a function that reads a value of this type, or gives `_MISFIT`; None when any value will do."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return lambda value: value if value in arguments else _MISFIT
    if origin is Union or origin is types.UnionType:
        return _any_of([_reader(argument) for argument in arguments])
    if origin in (list, tuple):
        return _sequence_of(_reader(arguments[0]), origin)
    if origin is dict or hint is dict:
        return lambda value: dict(value) if isinstance(value, Mapping) else _MISFIT
    return None


def _string(value: Any) -> Any:
    return value if isinstance(value, str) else _MISFIT


def _boolean(value: Any) -> Any:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), _MISFIT)
    return value if isinstance(value, bool) else _MISFIT


def _integer(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return _MISFIT
    if isinstance(value, float) and value.is_integer():  # as JSON and its schemas see it
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else _MISFIT


def _number(value: Any) -> Any:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return _MISFIT
    return _MISFIT


def _path(value: Any) -> Any:
    if isinstance(value, (str, Path)) and str(value):
        # Unlike the method of `Path`, this leaves the folder of an unknown user as it is.
        return Path(os.path.expanduser(value))  # noqa: PTH111
    return _MISFIT


def _nothing(value: Any) -> Any:
    return value if value is None else _MISFIT


def _any_of(readers: list[Reader | None]) -> Reader | None:
    if None in readers:
        return None

    def read(value: Any) -> Any:
        for reader in readers:
            result = typing.cast("Reader", reader)(value)
            if result is not _MISFIT:
                return result
        return _MISFIT

    return read


def _sequence_of(reader: Reader | None, kind: type[Any]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return _MISFIT
        items = [item if reader is None else reader(item) for item in value]
        return _MISFIT if any(item is _MISFIT for item in items) else kind(items)

    return read


_SIMPLE: dict[Any, Reader] = {
    str: _string,
    bool: _boolean,
    int: _integer,
    float: _number,
    Path: _path,
    type(None): _nothing,
}
_TYPE_NAMES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path: "a path",
    type(None): "nothing",
}


def _type_name(hint: Any) -> str:
    if hint in _TYPE_NAMES:
        return _TYPE_NAMES[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(argument) for argument in arguments)
    if origin is Union or origin is types.UnionType:
        return " or ".join(_type_name(argument) for argument in arguments if argument is not type(None))
    if origin in (list, tuple):
        return f"a list of {_type_name(arguments[0])}"
    if origin is dict or hint is dict:
        return "a table"
    return "something else"
