"""What a note contains: its media files and where they came from, and what it lacks."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote

import attrs


@attrs.frozen
class Origin:
    """Where a media file came from.

    Attributes:
        instance: The key of the configured provider.
        provider: The provider's name.
        attribution: Who must be credited; empty if nobody.
        cost: US dollars; None if unknown.
        made_at: When it was made: an ISO date-time in UTC.
    """

    instance: str
    provider: str
    attribution: str
    cost: float | None
    made_at: str


# Returns the origins of those of the named media files that are known.
Origins = Callable[[Sequence[str]], Mapping[str, Origin]]


@attrs.frozen
class MissingPart:
    """Something that a note lacks.

    Attributes:
        part: "sound", "picture" or, for a file that the note names and the package lacks, its name.
        failed: Whether this is an error, not just that no provider has one.
        reasons: The reason of each provider, by its key.
    """

    part: str
    failed: bool = False
    reasons: Mapping[str, str] = attrs.field(factory=dict)


# The media fields of Deckwright's note type. For each: the part, and its type in a report.
PARTS = {"Sound": ("sound", "audio"), "Picture": ("picture", "image")}

_REFERENCE = re.compile(
    r"""\[sound:(?P<sound>[^\]]+)\]
    | <(?:img|audio|video|source|image)\b[^>]*?\s(?:src|href)\s*=\s*
      (?:"(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<bare>[^\s>"']+))""",
    re.IGNORECASE | re.VERBOSE,
)
_EXTERNAL = re.compile(r"(?i)\s*(?:[a-z][a-z0-9+.-]*:|//|$)")
_EMPTY = re.compile(r"(?i)(?:\s|</?(?:br|div)\s?/?>)*")


def is_empty(value: str) -> bool:
    """Return whether Anki considers a field empty."""
    return bool(_EMPTY.fullmatch(value))


def media_in(value: str) -> list[str]:
    """Return the names of the media files that a field refers to, without external addresses."""
    names = []
    for match in _REFERENCE.finditer(value):
        name = html.unescape(next(filter(None, match.groups()), ""))
        if match["sound"] is None:
            if _EXTERNAL.match(name):
                continue
            name = unquote(name)
        names.append(unicodedata.normalize("NFC", name))
    return names


def plain(value: str) -> str:
    """Return a field as the text in the word list, on one line."""
    return one_line(html.unescape(re.sub(r"(?i)<br\s*/?>", " ", value)))


def one_line(text: str) -> str:
    """Return text with single spaces, without the word joiners that a build adds to brackets."""
    return " ".join(text.replace("\u2060", "").split())
