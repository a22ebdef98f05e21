"""Languages: told by a BCP 47 tag, by their English name, or by the name of a file."""

from __future__ import annotations

import re
from pathlib import Path

from deckwright.errors import DataError
from deckwright.settings import did_you_mean

# English names and their ISO 639 codes, as in the CLDR's list of languages: those that people name files by.
_CODES = {
    "afrikaans": "af",
    "albanian": "sq",
    "arabic": "ar",
    "armenian": "hy",
    "basque": "eu",
    "bengali": "bn",
    "bosnian": "bs",
    "bulgarian": "bg",
    "catalan": "ca",
    "chinese": "zh",
    "croatian": "hr",
    "czech": "cs",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "esperanto": "eo",
    "estonian": "et",
    "finnish": "fi",
    "french": "fr",
    "galician": "gl",
    "georgian": "ka",
    "german": "de",
    "greek": "el",
    "gujarati": "gu",
    "hebrew": "he",
    "hindi": "hi",
    "hungarian": "hu",
    "icelandic": "is",
    "indonesian": "id",
    "irish": "ga",
    "italian": "it",
    "japanese": "ja",
    "kannada": "kn",
    "korean": "ko",
    "latin": "la",
    "latvian": "lv",
    "lithuanian": "lt",
    "macedonian": "mk",
    "malay": "ms",
    "mandarin": "zh",
    "marathi": "mr",
    "norwegian": "nb",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "punjabi": "pa",
    "romanian": "ro",
    "russian": "ru",
    "serbian": "sr",
    "slovak": "sk",
    "slovenian": "sl",
    "spanish": "es",
    "swahili": "sw",
    "swedish": "sv",
    "tamil": "ta",
    "telugu": "te",
    "thai": "th",
    "turkish": "tr",
    "ukrainian": "uk",
    "urdu": "ur",
    "vietnamese": "vi",
    "welsh": "cy",
}
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def language_tag(text: str) -> str:
    """Return the BCP 47 tag for a tag or an English name: `"es_MX"` and `"es-mx"` give `"es-MX"`.

    Raises:
        DataError: It is neither.
    """
    text = text.strip().replace("_", "-")
    if text.lower() in _CODES:
        return _CODES[text.lower()]
    if not _TAG.fullmatch(text):
        near = did_you_mean(text.lower(), _CODES)
        raise DataError(
            f"{text!r} is not a language{near or '.'}",
            hint='Give a code, such as "es" or "pt-BR", or an English name.',
        )
    first, *rest = text.split("-")
    return "-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])


def language_in_name(path: Path) -> str | None:
    """Return the language that a file's name tells: `spanish.csv`, `my-german-verbs.csv`, `words.fr.csv`."""
    words = re.split(r"[^A-Za-z]+", path.stem.lower())
    named = {_CODES[word] for word in words if word in _CODES}
    coded = {words[-1]} & set(_CODES.values()) if "." in path.stem or len(words) == 1 else set()
    found = named or coded
    return found.pop() if len(found) == 1 else None
