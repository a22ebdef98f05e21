"""Notes: what stands in each field of a card, and what makes a note the same note in the next build."""

from __future__ import annotations

import hashlib
import html
from collections import Counter
from collections.abc import Mapping, Sequence

from deckwright.build.media import Medium
from deckwright.build.words import Word
from deckwright.providers.sync import Note


def make_notes(deck: str, words: Sequence[Word], media: Sequence[Mapping[str, Medium]]) -> tuple[Note, ...]:
    """Make one note a word.

    Args:
        deck: The deck's name. The same word in a deck of another name is another note.
        words: The words.
        media: For each word, its finished files by type.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    notes = []
    for word, files in zip(words, media, strict=True):
        key = (word.language, word.text, word.reading)
        notes.append(Note(_guid(deck, *key, str(seen[key])), _fields(word, files), word.tags))
        seen[key] += 1
    return tuple(notes)


def escape(text: str) -> str:
    """Turn text into HTML that shows it as it is, whatever HTML or Anki would otherwise make of it."""
    # A backslash and a bracket begin a formula, however the bracket is written; a joiner without width parts them.
    parted = text.replace("\\(", "\\\u2060(").replace("\\[", "\\\u2060[")
    escaped = html.escape(parted).replace("{", "&#123;").replace("[", "&#91;")
    return "<br>".join(escaped.splitlines())


def _guid(*parts: str) -> str:
    """Return an identity that leaves the translation out, so that correcting one updates the note."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _fields(word: Word, media: Mapping[str, Medium]) -> dict[str, str]:
    sound, picture = media.get("audio"), media.get("image")
    return {
        "Word": escape(word.text),
        "Reading": escape(word.reading) if word.reading != word.text else "",
        "Translation": escape(word.translation),
        "Example": escape(word.example),
        "Sound": f"[sound:{sound.path.name}]" if sound else "",
        "Picture": f'<img src="{picture.path.name}" alt="">' if picture else "",
        "Extra": _facts(word.facts),
        "Credit": escape(" · ".join(sorted({medium.attribution for medium in media.values()} - {""}))),
        # Tells the card's fonts which glyphs to use: Japanese and Chinese share characters, not their shapes.
        "Language": word.language,
    }


def _facts(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f"<dl>{items}</dl>"
