"""Anki's template language, as far as it decides which cards a note has and which templates are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import attrs

from deckwright.providers.deck import CardTemplate, NoteType
from fake_anki.collection import AnkiError

# What a template may use besides the fields of its note type.
_SPECIAL = {"FrontSide", "Tags", "Type", "Deck", "Subdeck", "Card", "CardFlag", "CardID"}
# A field that contains only these is empty.
_EMPTY = re.compile(r"(?si)\s*(</?(br|div)\s?/?>\s*)*")
_GAP = re.compile(r"\{\{c(\d+)::")


@attrs.frozen
class _Field:
    name: str
    filters: tuple[str, ...]


@attrs.frozen
class _Condition:
    name: str
    if_empty: bool
    within: tuple[_Field | _Condition, ...]


class _BrokenTemplateError(Exception):
    pass


_Parts = tuple["_Field | _Condition", ...]


def has_gap(fields: Mapping[str, str]) -> bool:
    """Return whether any field has a gap: `{{c1::...}}`."""
    return any(_GAP.search(value) for value in fields.values())


def cards_of(note_type: NoteType, fields: Mapping[str, str]) -> list[int]:
    """Return the numbers of the templates, or for a cloze note of the gaps, that make a card."""
    if note_type.is_cloze:
        clozes = {
            part.name for part in _walk(_parse(note_type.templates[0].front)) if "cloze" in part.filters
        }
        numbers = {int(number) for name in clozes for number in _GAP.findall(fields.get(name, ""))}
        return sorted(number - 1 for number in numbers if number)
    filled = {name for name, value in fields.items() if not _EMPTY.fullmatch(value)}
    return [
        place
        for place, template in enumerate(note_type.templates)
        if _shows_any(_parse(template.front), filled)
    ]


def check_templates(name: str, fields: Sequence[str], templates: Sequence[CardTemplate]) -> None:
    """Check that Anki accepts these templates.

    Raises:
        AnkiError: The message of Anki for the first template that it refuses, with a `<br>` and the marks
            (U+2068, U+2069) that it puts around quoted text.
    """
    fronts: dict[str, int] = {}
    for number, template in enumerate(templates, 1):
        problem = _problem(template, {*fields, *_SPECIAL})
        if not problem and (first := fronts.setdefault(template.front, number)) != number:
            problem = f"The front side is identical to card template {_quoted(first)}."
        if problem:
            raise AnkiError(
                f"Card template {_quoted(number)} in note type '{_quoted(name)}' has a problem.<br>{problem}"
            )


def _problem(template: CardTemplate, known: set[str]) -> str | None:
    try:
        front, back = _parse(template.front), _parse(template.back)
    except _BrokenTemplateError:
        return "See the preview for more information."
    unknown = next((name for name in (*_names(front), *_names(back)) if name not in known), None)
    if unknown is not None:
        return f"Field '{_quoted(unknown)}' not found."
    if not any(_walk(front)):
        return "Expected to find a field replacement on the front of the card template."
    return None


def _quoted(value: object) -> str:
    return f"\u2068{value}\u2069"


def _parse(template: str) -> _Parts:
    open_parts: list[tuple[str, bool, list[_Field | _Condition]]] = [("", False, [])]
    for match in re.finditer(r"(?s)\{\{(.+?)\}\}", template):
        inside = match[1].strip()
        sign, name = inside[0], inside[1:].strip()
        if sign in "#^":
            open_parts.append((name, sign == "^", []))
        elif sign == "/":
            opened, if_empty, within = open_parts.pop()
            if not open_parts or opened != name:
                raise _BrokenTemplateError
            open_parts[-1][2].append(_Condition(name, if_empty, tuple(within)))
        else:
            *filters, name = inside.split(":")
            open_parts[-1][2].append(_Field(name.strip(), tuple(filters)))
    if len(open_parts) > 1:
        raise _BrokenTemplateError
    return tuple(open_parts[0][2])


def _walk(parts: _Parts) -> Iterator[_Field]:
    for part in parts:
        if isinstance(part, _Field):
            yield part
        else:
            yield from _walk(part.within)


def _names(parts: _Parts) -> Iterator[str]:
    for part in parts:
        yield part.name
        if isinstance(part, _Condition):
            yield from _names(part.within)


def _shows_any(parts: _Parts, filled: set[str]) -> bool:
    for part in parts:
        if isinstance(part, _Field):
            if part.name in filled:
                return True
        elif (part.name in filled) != part.if_empty and _shows_any(part.within, filled):
            return True
    return False
