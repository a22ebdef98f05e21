"""Finds the emoji that shows a word, or none: no picture is better than a wrong one.

There are two sources: Unicode's CLDR names of emoji (`names.json.gz`, in many languages), and the English words of
`words.txt`, written by hand. A word and its translation are looked up, each in its own language. A picture is clear if

- both name the same picture, or one names it and the other has it as a keyword, or
- one names it and the other names nothing, and the name does not have several meanings (`bat`).

If the two name different pictures, there is none.
"""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

ENGLISH = "en"
_HERE = Path(__file__).parent

_ARTICLES = {
    "ca": "el la els les un una l'",
    "da": "en et",
    "de": "der die das ein eine sich",
    "el": "ο η το οι τα ένας μία ένα",  # noqa: RUF001
    "en": "the a an",
    "es": "el la los las un una unos unas lo",
    "fr": "le la les un une des l' se s'",
    "hu": "a az egy",
    "it": "il lo la i gli le un uno una l' un'",
    "nl": "de het een",
    "no": "en ei et",
    "pt": "o a os as um uma",
    "ro": "un o",
    "sv": "en ett",
}
# Remarks of dictionaries about the form of a word, not its meaning. "verb" is not one of them, since names are nouns:
# "fish (verb)" is not a fish.
_GRAMMAR = (
    "the a an to f m n fem masc neut feminine masculine neuter noun pl plural sg sing singular formal informal "
    "countable uncountable"
)
_SAME_LANGUAGE = {"nb": "no", "nn": "no", "tl": "fil", "iw": "he", "in": "id", "cmn": "zh", "bs": "hr"}
_TRADITIONAL = {"hant", "tw", "hk", "mo"}
_BRACKETS = re.compile(r"\(([^()]*)\)|（([^（）]*)）|\[([^\[\]]*)\]|【([^【】]*)】")  # noqa: RUF001
_SEPARATORS = re.compile(r"\s*[;,/|、，；]\s*")  # noqa: RUF001
_KATAKANA_TO_HIRAGANA = {point: point - 0x60 for point in range(0x30A1, 0x30F7)}


def plain(text: str) -> str:
    """Return a word without differences in spelling: case, hyphens, apostrophes, kana, spaces."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(_KATAKANA_TO_HIRAGANA)
    text = text.replace("\u2019", "'").replace("-", " ").strip(" .!?\u00a1\u00bf")
    return " ".join(text.split())


def words_by_hand() -> Iterator[tuple[str, str, bool]]:
    """Yield every word of `words.txt`, as returned by `plain`, its emoji, and whether it is clear by itself."""
    for line in (_HERE / "words.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            emoji, _, words = line.partition(" ")
            # OpenMoji's file names have no variation selector after a single character.
            emoji = emoji.rstrip("\ufe0f") if len(emoji) == 2 else emoji
            for word in words.split(","):
                yield plain(word.rstrip("?")), emoji, not word.endswith("?")


@attrs.frozen
class _Sense:
    """One meaning in a dictionary entry: `bat (animal)` has the remark `animal`."""

    forms: list[str]
    remarks: list[str]


def _senses(entry: str, language: str | None) -> list[_Sense]:
    """Split an entry such as `"the bat (animal); club"`."""
    found = []
    # Separators within brackets do not count.
    for part in _SEPARATORS.split(_BRACKETS.sub(lambda match: _SEPARATORS.sub(" ", match[0]), entry)):
        remarks = [plain(match[0][1:-1]) for match in _BRACKETS.finditer(part)]
        if word := plain(_BRACKETS.sub(" ", part)):
            found.append(
                _Sense(_forms(word, language), [text for text in remarks if text not in _GRAMMAR.split()])
            )
    return found


def _forms(word: str, language: str | None) -> list[str]:
    """Return the forms to look up: the word as it is, without its article, and in the singular."""
    forms = [word]
    for article in _ARTICLES.get(language or "", "").split():
        start = article if article.endswith("'") else f"{article} "
        if word.startswith(start) and word != start:
            forms.append(word[len(start) :].strip())
            break
    if language == ENGLISH:
        forms += [singular for form in forms if (singular := _singular(form))]
    return forms


def _singular(word: str) -> str:
    if not word.endswith("s") or word.endswith(("ss", "us", "is", "news")) or word.startswith("to "):
        return ""
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses", "oes")) else word[:-1]


class Matcher:
    """Finds the emoji of words. Threads may share one.

    The constructor reads the whole table, in about 30 ms. The index of a language is made on first use.
    """

    def __init__(self) -> None:
        table: dict[str, Any] = json.loads(gzip.decompress((_HERE / "names.json.gz").read_bytes()))
        self._emoji: list[str] = table["emoji"]
        self._names: dict[str, list[str]] = table["names"]
        self._keywords: dict[str, list[str]] = table["keywords"]
        self._rows = {emoji: row for row, emoji in enumerate(self._emoji)}
        self._by_name: dict[str, dict[str, list[str]]] = {}
        self._by_hand: dict[str, list[str]] = {}
        self._ambiguous = set()
        for word, emoji, is_clear in words_by_hand():
            self._by_hand.setdefault(word, []).append(emoji)
            if not is_clear:
                self._ambiguous.add((word, emoji))

    def find(
        self,
        word: str,
        language: str = "",
        translation: str = "",
        translated_to: str = ENGLISH,
        reading: str = "",
    ) -> str | None:
        """Return the emoji that clearly shows `word`, or None if there is none.

        Args:
            word: A word as in a dictionary, perhaps with an article, alternatives, and remarks in brackets.
            language: A BCP 47 tag; empty if unknown.
            translation: The same word in another language; empty if there is none.
            translated_to: The language of the translation.
            reading: Another spelling of the word, such as kana for kanji.

        Returns:
            An emoji, with the variation selectors of OpenMoji's file names.
        """
        own_language, other_language = self._known(language), self._known(translated_to)
        if own_language == other_language:
            other_language = None
        own = _senses(word, own_language) + _senses(reading, own_language)
        other = _senses(translation, other_language)
        named, translated = self._named(own, own_language), self._named(other, other_language)

        for emoji in translated:
            if emoji in named or self._mentions(own, own_language, emoji):
                return emoji
        if not translated:
            for emoji in named:
                if self._mentions(other, other_language, emoji) or self._called_anywhere(
                    translation, other, emoji
                ):
                    return emoji
        # Names with several meanings are only known for English. So without a second name, the picture must come from
        # an English word, or from a word without a translation.
        if other_language == ENGLISH and not named:
            return _first_clear(translated)
        if (own_language == ENGLISH and not translated) or not translation:
            return _first_clear(named)
        return None

    def _known(self, tag: str) -> str | None:
        """Return the table's language for a BCP 47 tag; None if it has none."""
        primary, *rest = tag.lower().replace("_", "-").split("-")
        primary = _SAME_LANGUAGE.get(primary, primary)
        if primary == "zh" and _TRADITIONAL.intersection(rest):
            return "zh-Hant"
        return primary if primary in self._names else None

    def _named(self, senses: list[_Sense], language: str | None) -> dict[str, bool]:
        """Return the emoji that these words name, the most likely first, and whether the name is clear by itself."""
        found: dict[str, bool] = {}
        if language is None:
            return found
        index = self._index(language)
        for position, sense in enumerate(senses):
            form = next((form for form in sense.forms if form in index), None)
            for emoji in index[form] if form else ():
                if self._fits(sense, emoji, language):
                    is_ambiguous = (
                        language == ENGLISH and not sense.remarks and (form, emoji) in self._ambiguous
                    )
                    found.setdefault(emoji, position == 0 and not is_ambiguous)
        return found

    def _fits(self, sense: _Sense, emoji: str, language: str) -> bool:
        """Return whether the remarks fit the picture. Only English remarks are reliable."""
        if language != ENGLISH or not sense.remarks:
            return True
        return any(
            self._mentions([_Sense([text, *text.split()], [])], ENGLISH, emoji) for text in sense.remarks
        )

    def _mentions(self, senses: list[_Sense], language: str | None, emoji: str) -> bool:
        """Return whether one of these words is the name of the picture, a part of it, or one of its keywords."""
        row = self._rows.get(emoji)
        if row is None or language is None:
            return False
        senses = [sense for sense in senses if self._fits(sense, emoji, language)]
        name = self._names[language][row]
        keywords = self._keywords[language][row].split("|") if language in self._keywords else ()
        return any(
            form == name or form in keywords or (" " in name and form in name.split())
            for sense in senses
            for form in sense.forms
        )

    def _called_anywhere(self, entry: str, senses: list[_Sense], emoji: str) -> bool:
        """Return whether this is a name of the picture in any language; its own language may be wrong or unknown."""
        row, text = self._rows.get(emoji), plain(entry)
        if row is None or any(sense.remarks for sense in senses):
            return False
        return any(
            name in sense.forms
            for language, names in self._names.items()
            if (name := names[row]) and name in text
            for sense in _senses(entry, language)
        )

    def _index(self, language: str) -> dict[str, list[str]]:
        """Return the emoji of every name; those of `words.txt` come before those of the CLDR."""
        if language not in self._by_name:
            index: dict[str, list[str]] = {}
            if language == ENGLISH:
                index = {word: list(emoji) for word, emoji in self._by_hand.items()}
            for name, emoji in zip(self._names[language], self._emoji, strict=True):
                if name and emoji not in index.setdefault(name, []):
                    index[name].append(emoji)
            self._by_name[language] = index
        return self._by_name[language]


def _first_clear(found: dict[str, bool]) -> str | None:
    return next((emoji for emoji, is_clear in found.items() if is_clear), None)
