"""Finds languages by their BCP 47 tag, their English name, or the name of a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from deckwright.config.settings import did_you_mean
from deckwright.errors import DataError

_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@cache
def language_codes() -> Mapping[str, str]:
    """Return the ISO 639 codes of languages by their English names in lower case, as the CLDR lists them.

    They are the ones that people use in the names of files and columns.
    """
    text = Path(__file__).with_name("languages.txt").read_text(encoding="utf-8")
    return MappingProxyType(dict(line.split() for line in text.splitlines()))


def language_tag(text: str) -> str:
    """Return the BCP 47 tag of a tag or an English name: `"es_MX"` and `"es-mx"` become `"es-MX"`.

    Raises:
        DataError: It is neither.
    """
    text = text.strip().replace("_", "-")
    codes = language_codes()
    if text.lower() in codes:
        return codes[text.lower()]
    if not _TAG.fullmatch(text):
        near = did_you_mean(text.lower(), codes)
        raise DataError(
            f"{text!r} is not a language{near or '.'}",
            hint='Use a code, such as "es" or "pt-BR", or an English name.',
        )
    first, *rest = text.split("-")
    # One object for all words of a language saves memory.
    return sys.intern("-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in rest)]))


def language_in_name(path: Path) -> str | None:
    """Return the language in the name of a file: `spanish.csv`, `my-german-verbs.csv`, `words.fr.csv`."""
    codes = language_codes()
    words = re.split(r"[^A-Za-z]+", path.stem.lower())
    named = {codes[word] for word in words if word in codes}
    coded = {words[-1]} & set(codes.values()) if "." in path.stem or len(words) == 1 else set()
    found = named or coded
    return found.pop() if len(found) == 1 else None
