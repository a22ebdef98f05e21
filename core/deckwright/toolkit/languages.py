"""Finds languages by their BCP 47 tag, their English name, or the name of a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from deckwright.config.settings import did_you_mean
from deckwright.errors import DataError

# English names of languages and their ISO 639 codes, as the CLDR lists them: the ones that people use in the names of
# files and columns.
LANGUAGE_CODES = {
    "afrikaans": "af",
    "albanian": "sq",
    "amharic": "am",
    "arabic": "ar",
    "armenian": "hy",
    "assamese": "as",
    "azerbaijani": "az",
    "basque": "eu",
    "belarusian": "be",
    "bengali": "bn",
    "bosnian": "bs",
    "breton": "br",
    "bulgarian": "bg",
    "burmese": "my",
    "cantonese": "yue",
    "catalan": "ca",
    "cebuano": "ceb",
    "chinese": "zh",
    "cornish": "kw",
    "croatian": "hr",
    "czech": "cs",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "esperanto": "eo",
    "estonian": "et",
    "faroese": "fo",
    "farsi": "fa",
    "filipino": "fil",
    "finnish": "fi",
    "french": "fr",
    "frisian": "fy",
    "galician": "gl",
    "georgian": "ka",
    "german": "de",
    "greek": "el",
    "greenlandic": "kl",
    "guarani": "gn",
    "gujarati": "gu",
    "hausa": "ha",
    "hawaiian": "haw",
    "hebrew": "he",
    "hindi": "hi",
    "hungarian": "hu",
    "icelandic": "is",
    "igbo": "ig",
    "indonesian": "id",
    "irish": "ga",
    "italian": "it",
    "japanese": "ja",
    "javanese": "jv",
    "kannada": "kn",
    "kazakh": "kk",
    "khmer": "km",
    "korean": "ko",
    "kurdish": "ku",
    "kyrgyz": "ky",
    "lao": "lo",
    "latin": "la",
    "latvian": "lv",
    "lithuanian": "lt",
    "luxembourgish": "lb",
    "macedonian": "mk",
    "malagasy": "mg",
    "malay": "ms",
    "malayalam": "ml",
    "maltese": "mt",
    "mandarin": "zh",
    "maori": "mi",
    "marathi": "mr",
    "mongolian": "mn",
    "nepali": "ne",
    "norwegian": "nb",
    "occitan": "oc",
    "pashto": "ps",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "punjabi": "pa",
    "quechua": "qu",
    "romanian": "ro",
    "russian": "ru",
    "sanskrit": "sa",
    "scots": "sco",
    "serbian": "sr",
    "sinhala": "si",
    "slovak": "sk",
    "slovenian": "sl",
    "somali": "so",
    "spanish": "es",
    "swahili": "sw",
    "swedish": "sv",
    "tagalog": "tl",
    "tajik": "tg",
    "tamil": "ta",
    "tatar": "tt",
    "telugu": "te",
    "thai": "th",
    "tibetan": "bo",
    "tigrinya": "ti",
    "turkish": "tr",
    "turkmen": "tk",
    "ukrainian": "uk",
    "urdu": "ur",
    "uyghur": "ug",
    "uzbek": "uz",
    "vietnamese": "vi",
    "welsh": "cy",
    "xhosa": "xh",
    "yiddish": "yi",
    "yoruba": "yo",
    "zulu": "zu",
}
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def language_tag(text: str) -> str:
    """Return the BCP 47 tag of a tag or an English name: `"es_MX"` and `"es-mx"` become `"es-MX"`.

    Raises:
        DataError: It is neither.
    """
    text = text.strip().replace("_", "-")
    if text.lower() in LANGUAGE_CODES:
        return LANGUAGE_CODES[text.lower()]
    if not _TAG.fullmatch(text):
        near = did_you_mean(text.lower(), LANGUAGE_CODES)
        raise DataError(
            f"{text!r} is not a language{near or '.'}",
            hint='Use a code, such as "es" or "pt-BR", or an English name.',
        )
    first, *rest = text.split("-")
    # One object for all words of a language saves memory.
    return sys.intern("-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in rest)]))


def language_in_name(path: Path) -> str | None:
    """Return the language in the name of a file: `spanish.csv`, `my-german-verbs.csv`, `words.fr.csv`."""
    words = re.split(r"[^A-Za-z]+", path.stem.lower())
    named = {LANGUAGE_CODES[word] for word in words if word in LANGUAGE_CODES}
    coded = {words[-1]} & set(LANGUAGE_CODES.values()) if "." in path.stem or len(words) == 1 else set()
    found = named or coded
    return found.pop() if len(found) == 1 else None
