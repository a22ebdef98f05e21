"""Notes: the fields of each note, what makes it the same note in the next build, and the deck of them all."""

from __future__ import annotations

import hashlib
import html
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import overload

from deckwright.anki.note_type import note_type
from deckwright.anki.package import LazyPaths
from deckwright.builder.media import Medium
from deckwright.builder.media_stage import MediaSet
from deckwright.builder.plan import Plan
from deckwright.builder.words import Word
from deckwright.providers.deck import Deck, Note


def make_deck(plan: Plan, media: MediaSet) -> Deck:
    """Return the deck of a plan."""
    credits = sorted({medium.attribution for medium in media} - {""})
    count = len(plan.words)
    lines = [f"{count} {'word' if count == 1 else 'words'}, made with Deckwright.", *credits]
    return Deck(
        name=plan.deck,
        is_named=plan.is_named,
        note_type=note_type(),
        notes=Notes(plan.deck, plan.words, media.of_word),
        media=LazyPaths(dict.fromkeys(medium.file for medium in media)),
        output=plan.output,
        description="<br>".join(map(escape, lines)),
    )


class Notes(Sequence[Note]):
    """One note for each word, made when it is read: all at once would fill the memory.

    The same word in a deck of another name is another note. `media_of` returns the files of the word at an index.
    """

    def __init__(
        self, deck: str, words: Sequence[Word], media_of: Callable[[int], Mapping[str, Medium]]
    ) -> None:
        self._deck = deck
        self._words = words
        self._media_of = media_of
        # How many words of the same spelling come before a word, where any do.
        self._before: dict[int, int] = {}
        seen: Counter[int] = Counter()
        for index, word in enumerate(words):
            spelling = hash(_spelling(word))
            if seen[spelling]:
                self._before[index] = seen[spelling]
            seen[spelling] += 1

    def __len__(self) -> int:
        return len(self._words)

    @overload
    def __getitem__(self, index: int) -> Note: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Note]: ...
    def __getitem__(self, index: int | slice) -> Note | Sequence[Note]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        word = self._words[index]
        position = range(len(self))[index]
        guid = _guid(self._deck, *_spelling(word), str(self._before.get(position, 0)))
        return Note(guid, _fields(word, self._media_of(position)), word.tags)


def _spelling(word: Word) -> tuple[str, str, str]:
    return word.language, word.text, word.reading


def escape(text: str) -> str:
    """Turn text into HTML that shows it as it is, also where HTML or Anki would read it as markup."""
    if not text:
        return ""
    # A backslash and a bracket begin a formula, however the bracket is written; a joiner without width parts them.
    parted = text.replace("\\(", "\\\u2060(").replace("\\[", "\\\u2060[")
    escaped = html.escape(parted).replace("{", "&#123;").replace("[", "&#91;")
    return "<br>".join(escaped.splitlines())


def _guid(*parts: str) -> str:
    """Return an identity without the translation, so that correcting that updates the note."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _fields(word: Word, media: Mapping[str, Medium]) -> dict[str, str]:
    sound, picture = media.get("audio"), media.get("image")
    return {
        "Word": escape(word.text),
        "Reading": escape(word.reading) if word.reading != word.text else "",
        "Translation": escape(word.translation),
        "Example": escape(word.example),
        "Sound": f"[sound:{sound.name}]" if sound else "",
        "Picture": f'<img src="{picture.name}" alt="">' if picture else "",
        "Extra": _extra(word.extra),
        "Credit": escape(" · ".join(sorted({medium.attribution for medium in media.values()} - {""}))),
        # Selects the glyphs of the card's fonts: Japanese and Chinese share characters, not their shapes.
        "Language": word.language,
    }


def _extra(columns: Mapping[str, str]) -> str:
    if not columns:
        return ""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in columns.items())
    return f"<dl>{items}</dl>"
