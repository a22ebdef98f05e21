"""Reads the report that `deckwright build --report` writes: where the deck is, and why something is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import attrs

from deckwright.errors import DataError
from deckwright.preview.note_content import PARTS, MissingPart, one_line


@attrs.frozen
class Report:
    """A report.

    Attributes:
        deck: The deck's name.
        package: Its file.
        missing: What is missing: for each word (on one line), by "sound" or "picture".
    """

    deck: str
    package: Path
    missing: Mapping[str, Mapping[str, MissingPart]]


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        DataError: It cannot be read, is not a report, or names no package that exists.
    """
    parts = {type: part for part, type in PARTS.values()}
    missing: dict[str, dict[str, MissingPart]] = {}
    try:
        content = json.loads(path.read_bytes())
        deck, outputs = str(content["deck"]), [str(file) for file in content["outputs"].values() if file]
        for item in content["missing"]:
            if part := parts.get(item["type"]):
                reasons = {str(instance): str(reason) for instance, reason in item["reasons"].items()}
                by_part = missing.setdefault(one_line(str(item["word"])), {})
                by_part[part] = MissingPart(part, bool(item["failed"]), reasons)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
        raise DataError(
            f"{path} is neither an Anki package nor a report of a build.",
            hint="Give an .apkg file, or the file that `deckwright build --report FILE.json` wrote.",
        ) from None
    return Report(deck, _package(path, outputs), missing)


def _package(report: Path, outputs: list[str]) -> Path:
    """Return the file of the deck: the one in the report, or one beside the report if both were moved."""
    for output in outputs:
        for file in (Path(output), report.parent / output, report.parent / Path(output).name):
            if file.is_file():
                return file
    if outputs:
        raise DataError(f"{report}: the deck does not exist: {', '.join(outputs)}.")
    raise DataError(
        f"{report}: this build wrote no file that can be shown.",
        hint="Build the deck with the provider `apkg`, which writes one.",
    )
