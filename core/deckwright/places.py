"""Where in a configuration's text a key was written, for messages.

A search, not a parser: no line beats a wrong one, so what is not found plainly is not told.
"""

from __future__ import annotations

import json
import re


def line_of(text: str, key: str, *, is_json: bool) -> int | None:
    """Return the line, from 1, of a dotted key, or of the nearest table around it; None when not found.

    In TOML the table's header is looked for, in JSON one key of the path after the other.
    """
    parts = key.split(".")
    position = _json_position(text, parts) if is_json else _toml_position(text, parts)
    return None if position is None else text.count("\n", 0, position) + 1


def _toml_position(text: str, parts: list[str]) -> int | None:
    for depth in range(len(parts), 0, -1):
        dotted = r"[ \t]*\.[ \t]*".join(_toml_key(part) for part in parts[:depth])
        header = re.search(rf"^[ \t]*\[[ \t]*{dotted}[ \t]*\]", text, re.MULTILINE)
        if header and depth == len(parts):
            return header.start()
        if header:
            end = text.find("\n[", header.end())
            table = text[: end if end >= 0 else len(text)]
            line = re.compile(rf"^[ \t]*{_toml_key(parts[depth])}[ \t]*=", re.MULTILINE)
            found = line.search(table, header.end())
            return found.start() if found else header.start()
    return None


def _toml_key(part: str) -> str:
    return rf"[\"']?{re.escape(part)}[\"']?"


def _json_position(text: str, parts: list[str]) -> int | None:
    position = None
    for part in parts:
        quoted = re.escape(json.dumps(part, ensure_ascii=False))
        found = re.compile(rf"{quoted}\s*:").search(text, position or 0)
        if found is None:
            break
        position = found.start()
    return position
