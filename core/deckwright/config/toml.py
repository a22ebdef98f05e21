"""Writing TOML: keys and values as a configuration would have them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any


def toml_key(key: object) -> str:
    """Return one part of a key, in quotes where it needs them."""
    key = str(key)
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def toml_value(value: Any) -> str:
    """Return a value on one line: a text, number, boolean, list or table; anything else becomes text."""
    if isinstance(value, Mapping):
        items = (f"{toml_key(key)} = {toml_value(inner)}" for key, inner in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    # What JSON writes is TOML, but for the one control character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")
