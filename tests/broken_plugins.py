"""The broken plugins of tests/plugins/broken, and what `deckwright doctor` must find in each."""

from __future__ import annotations

import json
import os
import sqlite3
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli

BROKEN = Path(__file__).parent / "plugins" / "broken"
# An API key that must not be shown anywhere.
SECRET = "broken-s3cr3t-9"

Finding = Mapping[str, Any]
Expectations = Mapping[str, Mapping[str, str]]


def expected(folder: Path) -> Expectations:
    """Return what must be found in each plugin of a folder: a part of the message and of the hint."""
    expectations: Expectations = tomli.loads((folder / "expected.toml").read_text(encoding="utf-8"))
    return expectations


# The plugins that need no installation.
EXPECTED = expected(BROKEN)


def file_of(name: str, plugin: Mapping[str, str]) -> str:
    """Return the file that a finding about a plugin must name."""
    return os.path.normpath(BROKEN / plugin.get("file", f"{name}.py"))


def findings_about(findings: Iterable[Finding], file: str) -> list[Finding]:
    """Return the findings that name a file."""
    return [one for one in findings if file in f"{one['where']} {one['message']} {one['file']}"]


def matches(finding: Finding, plugin: Mapping[str, str]) -> bool:
    """Return whether this is the expected finding about a plugin."""
    text = f"{finding['where']}: {finding['message']}"
    return plugin["message"] in text and plugin["hint"] in f"{finding['message']} {finding['hint']}"


def deck_in(package: Path) -> tuple[list[Any], list[Any], list[tuple[str, bytes]]]:
    """Return the notes, cards and media of an Anki package, without its times and ids."""
    with zipfile.ZipFile(package) as file:
        media = [(name, file.read(number)) for number, name in json.loads(file.read("media")).items()]
        collection = package.with_suffix(".anki2")
        collection.write_bytes(file.read("collection.anki2"))
    database = sqlite3.connect(collection)
    notes = database.execute("SELECT guid, mid, flds, tags FROM notes ORDER BY guid").fetchall()
    cards = database.execute(
        "SELECT guid, ord, did FROM cards JOIN notes ON cards.nid = notes.id ORDER BY guid, ord"
    ).fetchall()
    database.close()
    return notes, cards, sorted(media)
