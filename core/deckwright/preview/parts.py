"""What a note is made of: its media files, what it lacks, and where each came from."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote

import attrs


@attrs.frozen
class Origin:
    """Where one media file came from.

    Attributes:
        instance: The configured provider's key.
        provider: The name by which plugins know it.
        attribution: Whom it is to be credited to; empty when nobody.
        cost: US dollars; None when unknown.
        made_at: When it was made: an ISO date-time in UTC.
    """

    instance: str
    provider: str
    attribution: str
    cost: float | None
    made_at: str


# From the names of media files to what is known of each.
Origins = Callable[[Sequence[str]], Mapping[str, Origin]]


@attrs.frozen
class Missing:
    """What a note lacks.

    Attributes:
        part: "sound", "picture" or, of a file that the note names and the package lacks, its name.
        failed: Whether that is a fault, rather than that nobody has one.
        reasons: Why, by the key of each provider that was asked.
    """

    part: str
    failed: bool = False
    reasons: Mapping[str, str] = attrs.field(factory=dict)


# The fields of Deckwright's note type that are to hold media, and what a report calls what is in them.
PARTS = {"Sound": ("sound", "audio"), "Picture": ("picture", "image")}

_REFERENCE = re.compile(
    r"""\[sound:(?P<sound>[^\]]+)\]
    | <(?:img|audio|video|source|image)\b[^>]*?\s(?:src|href)\s*=\s*
      (?:"(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<bare>[^\s>"']+))""",
    re.IGNORECASE | re.VERBOSE,
)
_ELSEWHERE = re.compile(r"(?i)\s*(?:[a-z][a-z0-9+.-]*:|//|$)")
_EMPTY = re.compile(r"(?i)(?:\s|</?(?:br|div)\s?/?>)*")


def is_empty(value: str) -> bool:
    """Say whether a field is empty, as Anki sees it."""
    return bool(_EMPTY.fullmatch(value))


def media_in(value: str) -> list[str]:
    """Return the names of the media files that a field refers to; addresses on the network are none."""
    names = []
    for match in _REFERENCE.finditer(value):
        sound = match["sound"]
        name = html.unescape(next(filter(None, match.groups()), ""))
        if sound is None:
            if _ELSEWHERE.match(name):
                continue
            name = unquote(name)
        names.append(unicodedata.normalize("NFC", name))
    return names


def plain(value: str) -> str:
    """Return a field as the text that a word list has for it, in one line."""
    return one_line(html.unescape(re.sub(r"(?i)<br\s*/?>", " ", value)))


def one_line(text: str) -> str:
    """Return text with single spaces, and without the joiners that keep Anki from seeing a formula in it."""
    return " ".join(text.replace("\u2060", "").split())
