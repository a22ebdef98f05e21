"""The annotation of a setting in words: its type, its limits and its description."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import attrs
from msgspec import Meta

_TYPES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path: "a path",
    Any: "anything",
    type(None): "nothing",
}
_LIMITS = {
    "ge": "at least {}",
    "le": "at most {}",
    "gt": "more than {}",
    "lt": "less than {}",
    "min_length": "{} or longer",
    "max_length": "no longer than {}",
    "pattern": "of the form {}",
}


def type_in_words(hint: Any) -> str:
    """Return a type, which must not be `Annotated`, in words: `"a list of text"`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(argument) for argument in arguments)
    if is_union(hint):
        return " or ".join(type_in_words(argument) for argument in arguments if argument is not type(None))
    kind = origin or hint
    if kind in _TYPES or not isinstance(kind, type):
        return _TYPES.get(kind, "something else")
    if issubclass(kind, enum.Enum):
        return "one of " + ", ".join(repr(member.value) for member in kind)
    if issubclass(kind, Mapping) or attrs.has(kind):
        is_any = arguments[1:] in ((), (Any,))
        return "a table" if is_any else f"a table of {type_in_words(arguments[1])}"
    return f"a list of {type_in_words(arguments[0])}" if arguments else "something else"


def limits_in_words(annotation: Any) -> str:
    """Return the limits that an annotation sets in words: `"80 to 450"`; an empty string when there are none."""
    words = [word for meta in _metas(annotation) for word in _limits(meta)]
    kind = typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation
    if typing.get_origin(kind) in (list, tuple) and (each := limits_in_words(typing.get_args(kind)[0])):
        words.append(f"each {each}")
    return ", ".join(words)


def description_of(annotation: Any) -> str:
    """Return the description in an annotation; an empty string when there is none."""
    return next((meta.description for meta in _metas(annotation) if meta.description), "")


def is_union(hint: Any) -> bool:
    """Return whether a type is one of several, such as `int | None`."""
    return typing.get_origin(hint) in (Union, types.UnionType)


def _metas(annotation: Any) -> Iterator[Meta]:
    """Yield each `Meta` that applies to the value itself, also those in the parts of a union."""
    if typing.get_origin(annotation) is Annotated:
        yield from (meta for meta in annotation.__metadata__ if isinstance(meta, Meta))
        annotation = typing.get_args(annotation)[0]
    if is_union(annotation):
        for part in typing.get_args(annotation):
            yield from _metas(part)


def _limits(meta: Meta) -> Iterator[str]:
    limits = {name: limit for name in _LIMITS if (limit := getattr(meta, name)) is not None}
    if "ge" in limits and "le" in limits:
        yield f"{limits.pop('ge')} to {limits.pop('le')}"
    if limits.get("min_length") == 1:
        del limits["min_length"]
        yield "not empty"
    for name, limit in limits.items():
        yield _LIMITS[name].format(limit)
