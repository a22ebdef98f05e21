"""What plugins return from hooks that return several records, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import attrs

from deckwright.errors import PluginError
from deckwright.hooks import Traits

T = TypeVar("T")


def checked_answers(answers: Iterable[Any], kind: type[T]) -> list[T]:
    """Return the records that a hook returned.

    Raises:
        PluginError: They are not a list of this kind, or a field of one is wrong.
    """
    if not isinstance(answers, Iterable):
        raise PluginError(f"returned {answers!r}, not a list of {kind.__name__}")
    records = list(answers)
    for record in records:
        if fault := _fault_of(record, kind):
            raise PluginError(f"returned {fault}")
    return records


def _fault_of(record: Any, kind: type[Any]) -> str:
    """Return what is wrong with a record that a plugin returned; empty when nothing is."""
    if not isinstance(record, kind):
        return f"{record!r}, which is not a proper {kind.__name__}"
    for field in ("name", "type", "summary", "extra"):
        if not isinstance(value := getattr(record, field, ""), str):
            return f"a {kind.__name__} with the {field} {value!r}, which is not text"
    if not isinstance(traits := getattr(record, "traits", Traits()), Traits):
        return f"{record.name!r} with the traits {traits!r}, which are not of the class Traits"
    contract = getattr(record, "contract", object)
    if not isinstance(contract, type):
        return f"{record.name!r} with the contract {contract!r}, which is not a class"
    config_class = getattr(record, "config_class", None)
    if config_class is not None and not (isinstance(config_class, type) and attrs.has(config_class)):
        return f"{record.name!r} with the config_class {config_class!r}, which is not an attrs class"
    return ""
