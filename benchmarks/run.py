"""Run every benchmark and print the table; with `--keep`, also write it to RESULTS.md.

python benchmarks/run.py [--keep]

With the environment variable DECKWRIGHT_BENCH_QUICK, the slow ones do a tenth, which shows that they run.
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
# The second is for the imitation of Anki.
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import anki_delivery  # noqa: E402
import build  # noqa: E402
import online  # noqa: E402
import registry  # noqa: E402
import scale  # noqa: E402
import startup  # noqa: E402
from measure import PART, Figure  # noqa: E402


def main() -> None:
    figures: list[Figure] = []
    examples = str(HERE.parent / "examples")
    sources = (
        startup.figures(),
        registry.figures(),
        build.figures(examples),
        anki_delivery.figures(),
        online.figures(),
        scale.figures(examples),
    )
    for source in sources:
        for figure in source:
            print(f"{figure.value:>10}  {figure.bound:>7}  {figure.what}  ({figure.detail})", flush=True)
            figures.append(figure)
    missed = [figure.what for figure in figures if figure.kept is False]
    print(f"\n{len(missed)} bounds missed" + "".join(f"\n  {what}" for what in missed))
    if "--keep" in sys.argv and PART == 1:
        (HERE / "RESULTS.md").write_text(as_markdown(figures), encoding="utf-8")


def as_markdown(figures: list[Figure]) -> str:
    rows = "\n".join(
        f"| {figure.what} | {figure.value} | {figure.bound} | {_word(figure.kept)} | {figure.detail} |"
        for figure in figures
    )
    return f"""# Results

`tox -e bench` writes this page. A ratio compares the best times of two things that are measured in turn in one run;
lower is better. Times depend on the machine, ratios hardly do.

Deckwright {version("deckwright")}, Python {platform.python_version()}, {platform.system()} {platform.machine()}.

| what | measured | bound | kept | times |
|---|---|---|---|---|
{rows}
"""


def _word(kept: bool | None) -> str:
    return {True: "yes", False: "**no**", None: ""}[kept]


if __name__ == "__main__":
    main()
