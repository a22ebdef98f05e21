"""Where in a configuration's text each key was written, for messages.

This scans the text and does not parse it. A key that is written in an unusual way is not found: no line is better than
a wrong one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_KEY = r"""(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEYS = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_TOML = re.compile(
    # A table's header or a key, at the start of a line; or what could be taken for one: texts and comments.
    rf"^[ \t]*(?:\[\[?[ \t]*(?P<table>{_KEYS})[ \t]*\]|(?P<key>{_KEYS})[ \t]*=)"
    r'|"{3}(?:[^\\]|\\.)*?"{3}|' + r"'{3}.*?'{3}" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'|\#[^\n]*",
    re.MULTILINE | re.DOTALL,
)
_JSON = re.compile(r'(?P<key>"(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[\[\]{}]')


def lines_of(text: str, *, is_json: bool) -> dict[str, int]:
    """Return the line, from 1, of every dotted key and every table of a well-formed configuration."""
    lines: dict[str, int] = {}
    line, counted = 1, 0
    for key, position in _json_keys(text) if is_json else _toml_keys(text):
        line += text.count("\n", counted, position)
        counted = position
        lines.setdefault(key, line)
    return lines


def _toml_keys(text: str) -> Iterator[tuple[str, int]]:
    table = ""
    for found in _TOML.finditer(text):
        if found["table"]:
            table = _dotted(found["table"])
            yield table, found.start()
        elif found["key"]:
            key = _dotted(found["key"])
            yield f"{table}.{key}" if table else key, found.start()


def _dotted(keys: str) -> str:
    return ".".join(part.strip("\"'") for part in re.findall(_KEY, keys))


def _json_keys(text: str) -> Iterator[tuple[str, int]]:
    path: list[str] = []
    for found in _JSON.finditer(text):
        mark = found[0]
        if found["key"]:
            path[-1] = json.loads(found["key"])
            yield ".".join(path), found.start()
        elif mark in ("{", "["):
            path.append("")
        elif mark in ("}", "]"):
            path.pop()
