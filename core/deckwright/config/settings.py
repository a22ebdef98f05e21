"""Settings of a provider: from a mapping, as a configuration holds it, to an attrs class, checked.

A provider declares its settings as an ordinary attrs class. The annotation of a setting gives its type, its limits
and what it is for: `speed: Annotated[int, Meta(ge=80, le=450, description="words a minute")] = 150`. `read_settings`
makes an instance of the class, and raises a `SettingError` that names the key when a value does not fit.
"""

from __future__ import annotations

import difflib
import enum
import functools
import os
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import attrs
import msgspec

from deckwright.config.constraints import description_of, limits_in_words, type_in_words
from deckwright.errors import SettingError
from deckwright.secrets import is_secret_key, masked, redact, texts_in

T = TypeVar("T")
R = TypeVar("R")

# What is raised where a value does not fit: by msgspec, which before 0.22 meant a SystemError by a number too large for
# a float; by Python, for text that is not Unicode; and by `_read_other`.
_MISFIT = (msgspec.ValidationError, SystemError, UnicodeError, NotImplementedError)


def _cached(function: Callable[[Any], R]) -> Callable[[Any], R]:
    """Cache by class; `functools.cache` with a type that type checkers accept for classes."""
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
    try:
        read = msgspec.convert(values, _struct(settings_class), dec_hook=_read_other)
    except _MISFIT:
        names = [name for name in readable_types(settings_class) if name in values]
        arguments = {name: read_setting(settings_class, name, values[name]) for name in names}
    else:
        arguments = {name: getattr(read, name) for name in read.__struct_fields__ if name in values}
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
    types = typing.get_type_hints(settings_class)
    annotations = _annotations(settings_class)
    readable = readable_types(settings_class)
    return [
        {
            "name": field.name,
            "type": type_in_words(types.get(field.name, Any)),
            "required": field.default is attrs.NOTHING,
            "default": _default(field),
            "limits": limits_in_words(readable[field.name]),
            "secret": is_secret_key(field.name),
            "help": description_of(annotations[field.name]) or str(field.metadata.get("help") or ""),
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


@_cached
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
                reason = _limit(str(fault.args[0]) if fault.args else type(fault).__name__, field.name)
                if is_secret_key(field.name):
                    reason = redact(reason, texts_in(value))
                return SettingError(field.name, f"{_shown(field.name, value)} is not allowed ({reason})")
    return SettingError(settings_class.__name__, str(error))


def _limit(reason: str, name: str) -> str:
    """Cut an attrs validator's message down to the limit it states, without the setting and the value it repeats."""
    before_value = reason.rpartition(": ")[0] or reason.partition(" (got")[0]
    return (before_value or reason).removeprefix(f"'{name}' ")


def _shown(key: str, value: object) -> str:
    return "the given secret" if is_secret_key(key) else repr(masked(value))


@_cached
def readable_types(settings_class: Any) -> dict[str, Any]:
    """Return the type of each setting by name, with its limits; `Any` where only the class itself can check it.

    That is so when a converter makes the value, and when msgspec cannot read the type.
    """
    fields = attrs.fields_dict(settings_class)
    return {
        name: hint if fields[name].converter is None and _is_readable(hint) else Any
        for name, hint in _annotations(settings_class).items()
    }


@_cached
def _annotations(settings_class: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(settings_class, include_extras=True)
    return {field.name: hints.get(field.name, Any) for field in attrs.fields(settings_class) if field.init}


@_cached
def _struct(settings_class: Any) -> type[msgspec.Struct]:
    """Return the class that msgspec reads all settings as, in one go; the defaults are those of the attrs class."""
    fields = [(name, hint, None) for name, hint in readable_types(settings_class).items()]
    return msgspec.defstruct(settings_class.__name__, fields)


def _is_readable(hint: Any) -> bool:
    try:
        msgspec.convert(object(), hint, dec_hook=_read_other)
    except msgspec.ValidationError:
        return True
    except (TypeError, NotImplementedError):
        return False
    return True


def _read_other(kind: type[Any], value: Any) -> Any:
    """Read a value of a type that is not built into msgspec."""
    if kind is not Path:
        if isinstance(value, kind):
            return value
        raise NotImplementedError
    if not isinstance(value, (str, Path)) or not str(value):
        raise ValueError("it is not a path")
    # Unlike the method of `Path`, this leaves the folder of an unknown user as it is.
    return Path(os.path.expanduser(value))  # noqa: PTH111


def read_setting(settings_class: Any, name: str, value: Any) -> Any:
    """Read one setting; the class's own validators are not asked.

    Raises:
        SettingError: The value is of another type, or outside the limits.
    """
    annotation = readable_types(settings_class)[name]
    try:
        return _convert(value, annotation)
    except _MISFIT:
        shown, kind = _shown(name, value), typing.get_type_hints(settings_class)[name]
    try:
        _convert(value, kind)
    except _MISFIT:
        raise SettingError(name, f"should be {type_in_words(kind)}, not {shown}") from None
    raise SettingError(name, f"{shown} is not allowed (must be {limits_in_words(annotation)})")


def _convert(value: Any, annotation: Any) -> Any:
    try:
        return msgspec.convert(value, annotation, dec_hook=_read_other)
    except _MISFIT:
        return msgspec.convert(_from_text(value), annotation, dec_hook=_read_other)


def _from_text(value: Any) -> Any:
    """Return a value with what it holds as text, as `${VAR}` gives it, as number or boolean; and 2.0 as 2."""
    if isinstance(value, (list, tuple)):
        return [_from_text(item) for item in value]
    if isinstance(value, float) and value.is_integer():  # as JSON and its schemas see it
        return int(value)
    if isinstance(value, str):
        if value.lower() in ("true", "false"):
            return value.lower() == "true"
        for number in (int, float):
            with suppress(ValueError):
                return number(value)
    return value
