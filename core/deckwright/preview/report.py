"""Reads what `deckwright build --report` wrote: where the deck is, and why something is missing in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import DataError
from deckwright.preview.parts import PARTS, Missing, one_line


@attrs.frozen
class Report:
    """A report.

    Attributes:
        deck: The deck's name.
        package: Its file.
        missing: What is missing, by the word (in one line) and "sound" or "picture".
    """

    deck: str
    package: Path
    missing: Mapping[tuple[str, str], Missing]


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        DataError: It cannot be read, is no report, or names no package that is there.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError):
        raise _no_report(path) from None
    try:
        deck, outputs = str(content["deck"]), list(content["outputs"].values())
        missing = dict(filter(None, map(_missing, content["missing"])))
    except (LookupError, TypeError, AttributeError, ValueError):
        raise _no_report(path) from None
    return Report(deck, _package(path, [str(output) for output in outputs if output]), missing)


def _no_report(path: Path) -> DataError:
    return DataError(
        f"{path} is neither an Anki package nor a report of a build.",
        hint="Name an .apkg file, or what `deckwright build --report FILE.json` wrote.",
    )


def _missing(item: Mapping[str, Any]) -> tuple[tuple[str, str], Missing] | None:
    parts = {type: part for part, type in PARTS.values()}
    if item["type"] not in parts:
        return None
    part = parts[item["type"]]
    reasons = {str(instance): str(message) for instance, message in item["reasons"].items()}
    return (one_line(str(item["word"])), part), Missing(part, bool(item["failed"]), reasons)


def _package(report: Path, outputs: list[str]) -> Path:
    """Return the deck's file: where the report says, or beside the report, in case both were moved."""
    for output in outputs:
        for file in (Path(output), report.parent / output, report.parent / Path(output).name):
            if file.is_file():
                return file
    if outputs:
        raise DataError(f"{report}: the deck that it tells of is not there: {', '.join(outputs)}.")
    raise DataError(
        f"{report}: that build wrote no file that could be shown.",
        hint="Build it with the provider `apkg`, which writes one.",
    )
