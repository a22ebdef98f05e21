"""The broken plugins of tests/plugins/zoo: what `deckwright doctor` is to find of each, and what it found."""

from __future__ import annotations

import json
import os
import sqlite3
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli

ZOO = Path(__file__).parent / "plugins" / "zoo"
# What stands for a key, and is to be seen nowhere.
SECRET = "zoo-s3cr3t-9"

Finding = Mapping[str, Any]
Members = Mapping[str, Mapping[str, str]]


def expected(folder: Path) -> Members:
    """Return what a folder's table says of each plugin in it: a part of what is found, and of the mend."""
    members: Members = tomli.loads((folder / "expected.toml").read_text(encoding="utf-8"))
    return members


# All those that need not be installed.
MEMBERS = expected(ZOO)


def place(name: str, member: Mapping[str, str]) -> str:
    """Return the file that is to be named for a plugin that need not be installed."""
    return os.path.normpath(ZOO / member.get("file", f"{name}.py"))


def about(findings: Iterable[Finding], file: str) -> list[Finding]:
    """Return the findings that name a file."""
    return [one for one in findings if file in f"{one['about']} {one['what']} {one['file']}"]


def fits(finding: Finding, member: Mapping[str, str]) -> bool:
    """Say whether a finding is the one that is expected of a plugin."""
    said = f"{finding['about']}: {finding['what']}"
    return member["says"] in said and member["mend"] in f"{finding['what']} {finding['mend']}"


def deck_in(package: Path) -> tuple[list[Any], list[Any], list[tuple[str, bytes]]]:
    """Return the notes, the cards and the media of an Anki package, without its own times and numbers."""
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
