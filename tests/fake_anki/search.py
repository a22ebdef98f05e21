"""The part of Anki's search language that clients need.

`deck:X`, `note:X`, `tag:X`, `nid:1,2`, `cid:1,2` and `Field:text`, with or without quotes. All of several terms
must match. `*` stands for any text and `_` for one character. Everything else is refused, because ignoring it would
find the wrong notes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from fake_anki.collection import AnkiCard, AnkiError, AnkiNote

Matcher = Callable[[AnkiNote, AnkiCard], bool]

_TERM = re.compile(
    r'\s*(?:"((?:\\.|[^"\\])*)"|((?:\\.|[^\s"\\])*)(?:"((?:\\.|[^"\\])*)")?)(?=\s|$)', re.DOTALL
)
# Keys of Anki that are not supported here. As names of fields, they would silently find nothing.
_OTHER_KEYS = {"added", "card", "did", "dupe", "edited", "flag", "has-cd", "introduced", "is", "mid", "nc"}
_OTHER_KEYS |= {"preset", "prop", "rated", "re", "resched", "sc", "w"}


def matcher(query: str) -> Matcher:
    """Return a function that tests whether a search finds a note by one of its cards.

    Raises:
        AnkiError: The search is invalid or not supported here.
    """
    matchers = [_term(term) for term in _terms(query)]
    return lambda note, card: all(matches(note, card) for matches in matchers)


def _terms(query: str) -> list[str]:
    terms, at = [], 0
    query = query.rstrip()
    while at < len(query):
        match = _TERM.match(query, at)
        if not match or match.end() == at:
            raise _unsupported(query)
        bare = match[2] or ""
        if bare.startswith("-") or "(" in bare or ")" in bare:
            raise _unsupported(query)
        terms.append(match[1] if match[1] is not None else bare + (match[3] or ""))
        at = match.end()
    return [term for term in terms if term not in ("", "*")]


def _term(term: str) -> Matcher:
    split = re.fullmatch(r"((?:\\.|[^:\\])+):(.*)", term, re.DOTALL)
    if not split:
        raise _unsupported(term)
    key, value = split.groups()
    by_number = {"nid": _has_number, "cid": _has_card_number}.get(key.lower())
    if by_number:
        if not re.fullmatch(r"\d+(,\d+)*", value):
            raise AnkiError(f"Invalid search: \u2068expected only digits and commas in {key}:\u2069")
        return partial(by_number, {int(number) for number in value.split(",")})
    if key.lower() in _OTHER_KEYS:
        raise _unsupported(term)
    if key.lower() == "deck":
        # In lower case these are not names. The collection in memory has no other current deck.
        if value == "filtered":
            return lambda note, card: False
        value = "Default" if value == "current" else value
        return partial(_in_deck, _pattern(value, "(::.*)?"))
    if key.lower() == "note":
        return partial(_of_type, _pattern(value))
    if key.lower() == "tag":
        return partial(_tagged, _pattern(value, "(::.*)?"))
    return partial(_has_text, _plain(key).casefold(), _pattern(value))


def _has_number(numbers: set[int], note: AnkiNote, card: AnkiCard) -> bool:
    return note.id in numbers


def _has_card_number(numbers: set[int], note: AnkiNote, card: AnkiCard) -> bool:
    return card.id in numbers


def _in_deck(pattern: re.Pattern[str], note: AnkiNote, card: AnkiCard) -> bool:
    return bool(pattern.fullmatch(card.deck))


def _of_type(pattern: re.Pattern[str], note: AnkiNote, card: AnkiCard) -> bool:
    return bool(pattern.fullmatch(note.note_type))


def _tagged(pattern: re.Pattern[str], note: AnkiNote, card: AnkiCard) -> bool:
    return any(pattern.fullmatch(tag) for tag in note.tags)


def _has_text(field: str, pattern: re.Pattern[str], note: AnkiNote, card: AnkiCard) -> bool:
    return any(
        name.casefold() == field and bool(pattern.fullmatch(value)) for name, value in note.fields.items()
    )


def _pattern(value: str, more: str = "") -> re.Pattern[str]:
    parts = []
    for part in re.findall(r"\\.|.", value, re.DOTALL):
        if part in ("*", "_"):
            parts.append(".*" if part == "*" else ".")
        else:
            parts.append(re.escape(_plain(part)))
    return re.compile("".join(parts) + more, re.IGNORECASE | re.DOTALL)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _unsupported(what: str) -> AnkiError:
    return AnkiError(f"unsupported search in the test server: {what}")
