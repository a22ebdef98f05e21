"""Write one page with the pictures that the provider `pictogram` finds for word lists, to look for wrong ones.

Usage: `python scripts/contact_sheet.py LANGUAGE=WORDS.csv ... OUT.html`, as in
`python scripts/contact_sheet.py es=examples/spanish.csv de=examples/german.csv sheet.html`.
A list needs the column `word`; the columns `translation` and `reading` are optional.
"""

from __future__ import annotations

import csv
import html
import sys
import tempfile
from pathlib import Path

from deckwright_builtins.pictogram import ATTRIBUTION, Pictogram

STYLE = """
body { font: 14px sans-serif; margin: 1em }
figure { display: inline-block; width: 8em; margin: 0.4em 0; text-align: center; vertical-align: top }
svg { width: 72px; height: 72px }
"""


def main(lists: list[str], out: Path) -> None:
    """Write the sheet."""
    pictogram = Pictogram()
    with_picture, without_picture = [], []
    with tempfile.TemporaryDirectory() as folder:
        for argument in lists:
            language, _, path = argument.rpartition("=")
            with Path(path).open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    params = {key: row.get(key) for key in ("translation", "reading")}
                    target = Path(folder) / "picture.svg"
                    result = pictogram.generate_image(row["word"], target, language=language, **params)
                    if result.failure is not None and result.failure.out_for_run:
                        sys.exit(str(result.failure))
                    caption = html.escape(f"{row['word']} – {params['translation'] or '?'}")  # noqa: RUF001
                    if result.success:
                        picture = target.read_text(encoding="utf-8")
                        with_picture.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
                    else:
                        without_picture.append(f"<li>{caption}")
    words = len(with_picture) + len(without_picture)
    out.write_text(
        f"<!doctype html><meta charset=utf-8><title>Pictograms</title><style>{STYLE}</style>"
        f"<p>{len(with_picture)} of {words} words have a picture. {ATTRIBUTION}.</p>{''.join(with_picture)}"
        f"<h2>Without a picture</h2><ul>{''.join(without_picture)}</ul>",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(sys.argv[1:-1], Path(sys.argv[-1]))
