"""Settings of a provider: from a mapping, as a configuration holds it, to an attrs class, checked.

A provider declares its settings as an ordinary attrs class. The annotation of a setting gives its type, its limits
and what it is for: `speed: Annotated[int, Meta(ge=80, le=450, description="words a minute")] = 150`. `read_settings`
makes an instance of the class, and raises a `SettingError` that names the key when a value does not fit.
"""

from __future__ import annotations

import difflib
import functools
import os
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import attrs
import msgspec

from deckwright.config.constraints import description_of, limits_in_words, type_in_words
from deckwright.errors import SettingError
from deckwright.secrets import is_secret_key, masked, redact, texts_in

T = TypeVar("T")
R = TypeVar("R")

# What is raised where a value does not fit: by msgspec (before 0.22 a SystemError, for a number too large for a float),
# by Python (for text that is not Unicode), and by `_read_other` (for a type that only its class knows).
_MISFIT = (msgspec.ValidationError, SystemError, UnicodeError, NotImplementedError)


def _cached(function: Callable[[Any], R]) -> Callable[[Any], R]:
    """Cache by class; `functools.cache` with a type that type checkers accept for classes."""
    return functools.cache(function)


def read_settings(settings_class: type[T], values: Mapping[str, Any]) -> T:
    """Make `settings_class` from `values`.

    Keys that the class does not know are ignored: the registry, which knows the file, warns of them.
    Numbers and booleans may be written as text, since that is what `${VAR}` gives.

    Args:
        settings_class: An attrs class.
        values: Settings by name.

    Raises:
        SettingError: A setting is missing, of the wrong type, or outside its limits.
    """
    try:
        read = msgspec.convert(values, _struct(settings_class), dec_hook=_read_other)
        arguments = {name: getattr(read, name) for name in read.__struct_fields__ if name in values}
    except _MISFIT:
        names = [name for name in annotations_of(settings_class) if name in values]
        arguments = {name: _read_setting(settings_class, name, values[name]) for name in names}
    try:
        return settings_class(**arguments)
    except (TypeError, ValueError) as error:
        raise _setting_error(settings_class, values, error) from None


def check_setting(settings_class: Any, name: str, value: Any) -> None:
    """Check one setting, also by its own validator.

    Raises:
        SettingError: The value is not allowed.
    """
    field = attrs.fields_dict(settings_class)[name]
    read = _read_setting(settings_class, name, value)
    try:
        if field.validator is not None:
            field.validator(None, field, read)
    except (TypeError, ValueError) as error:
        reason = redact(_limit(error, name), texts_in(value) if is_secret_key(name) else ())
        raise SettingError(name, f"{_shown(name, value)} is not allowed ({reason})") from None


def describe_settings(settings_class: Any) -> list[dict[str, Any]]:
    """Return every setting of an attrs class: those that are required, then its own, then those it inherits.

    Returns:
        For each its `name`, its `type` in words, whether it is `required`, its `default` (None when there is none,
        when it is made of other settings, and for a secret, which may be somebody's key), its `limits` in words as
        far as its annotation states them, whether it is a `secret`, and its `help`.
    """
    types = typing.get_type_hints(settings_class)
    by_name = annotations_of(settings_class)
    fields = [field for field in attrs.fields(settings_class) if field.init]
    return [
        {
            "name": field.name,
            "type": type_in_words(types.get(field.name, Any)),
            "required": field.default is attrs.NOTHING,
            "default": default_of(field),
            "limits": limits_in_words(by_name[field.name]),
            "secret": is_secret_key(field.name),
            "help": description_of(by_name[field.name]) or str(field.metadata.get("help") or ""),
        }
        for field in sorted(fields, key=lambda field: (field.default is not attrs.NOTHING, field.inherited))
    ]


@_cached
def annotations_of(settings_class: Any) -> dict[str, Any]:
    """Return the annotation of every setting by name.

    Its type is `Any` where only the class knows what fits: a converter makes the value, or msgspec does not know the
    type.
    """
    hints = typing.get_type_hints(settings_class, include_extras=True)
    found = {}
    for field in attrs.fields(settings_class):
        if field.init:
            hint = hints.get(field.name, Any)
            is_readable = field.converter is None and _is_readable(hint)
            found[field.name] = (
                hint if is_readable else Annotated[Any, msgspec.Meta(description=description_of(hint))]
            )
    return found


@_cached
def setting_names(settings_class: Any) -> frozenset[str]:
    """Return the names of all settings of an attrs class."""
    return frozenset(field.name for field in attrs.fields(settings_class) if field.init)


def unknown_setting(key: object, known: Iterable[str]) -> str:
    """Return a remark on a key that is not among `known`, with a did-you-mean where there is one."""
    return f"{key}: unknown setting{did_you_mean(str(key), known)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `", did you mean X?"` for the nearest of `known`, or an empty string when none is near."""
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def default_of(field: attrs.Attribute[Any]) -> Any:
    """Return the default of a setting; None when there is none, or when it is not to be shown."""
    default: Any = field.default
    if default is attrs.NOTHING or is_secret_key(field.name):
        return None
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return None if default.takes_self else default.factory()
    return default


@_cached
def _struct(settings_class: Any) -> type[msgspec.Struct]:
    """Return a class that msgspec reads all settings as, at once; their defaults are the attrs class's business."""
    fields = [(name, annotation, None) for name, annotation in annotations_of(settings_class).items()]
    return msgspec.defstruct(settings_class.__name__, fields)


def _is_readable(hint: Any) -> bool:
    try:
        msgspec.convert(object(), hint, dec_hook=_read_other)
    except (TypeError, NotImplementedError):
        return False
    except msgspec.ValidationError:
        pass
    return True


def _read_setting(settings_class: Any, name: str, value: Any) -> Any:
    """Read one setting by its annotation alone, or raise a `SettingError`."""
    annotation = annotations_of(settings_class)[name]
    with suppress(*_MISFIT):
        return _convert(value, annotation)
    shown, type_without_limits = _shown(name, value), typing.get_type_hints(settings_class)[name]
    try:
        _convert(value, type_without_limits)
    except _MISFIT:
        raise SettingError(name, f"should be {type_in_words(type_without_limits)}, not {shown}") from None
    raise SettingError(name, f"{shown} is not allowed (must be {limits_in_words(annotation)})")


def _convert(value: Any, annotation: Any) -> Any:
    with suppress(*_MISFIT):
        return msgspec.convert(value, annotation, dec_hook=_read_other)
    return msgspec.convert(_from_text(value), annotation, dec_hook=_read_other)


def _read_other(kind: type[Any], value: Any) -> Any:
    """Read a value of a type that msgspec does not know."""
    if kind is Path:
        if isinstance(value, (str, Path)) and str(value):
            # Unlike the method of `Path`, this leaves the folder of an unknown user as it is.
            return Path(os.path.expanduser(value))  # noqa: PTH111
        raise ValueError("it is not a path")
    if isinstance(value, kind):
        return value
    raise NotImplementedError


def _from_text(value: Any) -> Any:
    """Return a value with every text that is a number or a boolean as such, as `${VAR}` gives it; and 2.0 as 2."""
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


def _setting_error(settings_class: type[Any], values: Mapping[str, Any], error: Exception) -> SettingError:
    """Find the setting behind an error of an attrs class; called only when there was one."""
    for field in attrs.fields(settings_class):
        if field.init and field.name in values:
            try:
                check_setting(settings_class, field.name, values[field.name])
            except SettingError as setting_error:
                return setting_error
        elif field.init and field.default is attrs.NOTHING:
            return SettingError(field.name, "is required and missing")
    return SettingError(settings_class.__name__, str(error))


def _limit(error: Exception, name: str) -> str:
    """Return the limit that a validator's message states, without the setting and the value that attrs repeats."""
    message = str(error.args[0]) if error.args else type(error).__name__
    before_value = message.rpartition(": ")[0] or message.partition(" (got")[0]
    return (before_value or message).removeprefix(f"'{name}' ")


def _shown(key: str, value: object) -> str:
    return "the given secret" if is_secret_key(key) else repr(masked(value))
