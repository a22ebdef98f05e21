"""What attrs validators allow, read off them: for the schema of a configuration, and in words for people.

A validator of somebody's own tells nothing of itself, and neither do `or_` and `not_`: those limits are found out
when a provider is made, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COMPARISONS = {">=": "minimum", ">": "exclusiveMinimum", "<=": "maximum", "<": "exclusiveMaximum"}
_PLAIN = (str, int, float)


def limits_of(validator: Any) -> dict[str, Any]:
    """Return the limits that a validator sets, under the names that JSON Schema has for them.

    Args:
        validator: What a field of an attrs class holds as such; None when there is none.

    Returns:
        Any of `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `enum` (a list), `pattern` (a compiled
        one, with the name of the method that is to match, as a tuple), `minLength` and `maxLength` (of whatever has a
        length), and `items` (the limits of each item).
    """
    if not type(validator).__module__.startswith("attr."):
        return {}
    try:
        return _read(validator, type(validator).__name__)
    except (AttributeError, TypeError):  # another version of attrs keeps it elsewhere
        return {}


def _read(validator: Any, kind: str) -> dict[str, Any]:
    if kind == "_AndValidator":
        found: dict[str, Any] = {}
        for part in validator._validators:
            found |= limits_of(part)
        return found
    if kind == "_OptionalValidator":
        return limits_of(validator.validator)
    if kind == "_NumberValidator" and isinstance(validator.bound, (int, float)):
        return {_COMPARISONS[validator.compare_op]: validator.bound}
    if kind == "_InValidator":
        # As they were written: to look them up faster, attrs makes a set of them.
        options = getattr(validator, "_original_options", validator.options)
        if isinstance(options, (list, tuple, set, frozenset)) and all(isinstance(o, _PLAIN) for o in options):
            return {"enum": list(options) if isinstance(options, (list, tuple)) else sorted(options, key=str)}
    if kind == "_MatchesReValidator":
        return {"pattern": (validator.pattern, validator.match_func.__name__)}
    if kind == "_MinLengthValidator":
        return {"minLength": validator.min_length}
    if kind == "_MaxLengthValidator":
        return {"maxLength": validator.max_length}
    if kind == "_DeepIterable":
        inner = limits_of(validator.member_validator)
        return {**limits_of(validator.iterable_validator), **({"items": inner} if inner else {})}
    return {}


def in_words(limits: Mapping[str, Any]) -> str:
    """Return limits in words: `"80 to 450"`; an empty string when there are none."""
    words = []
    if "minimum" in limits and "maximum" in limits:
        words.append(f"{limits['minimum']} to {limits['maximum']}")
    else:
        names = {"minimum": "at least {}", "maximum": "at most {}"}
        words += [text.format(limits[name]) for name, text in names.items() if name in limits]
    names = {"exclusiveMinimum": "more than {}", "exclusiveMaximum": "less than {}"}
    words += [text.format(limits[name]) for name, text in names.items() if name in limits]
    if "minLength" in limits:
        words.append("not empty" if limits["minLength"] == 1 else f"{limits['minLength']} or longer")
    if "maxLength" in limits:
        words.append(f"no longer than {limits['maxLength']}")
    if "enum" in limits:
        words.append("one of " + ", ".join(map(repr, limits["enum"])))
    if "pattern" in limits:
        words.append(f"of the form {limits['pattern'][0].pattern}")
    if "items" in limits:
        words.append(f"each {in_words(limits['items'])}")
    return ", ".join(words)
