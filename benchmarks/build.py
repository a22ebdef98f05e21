"""Builds: 1,000 Spanish words, offline, with the built-in providers, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from measure import Figure

CODE = """
import csv, json, os, sys, tempfile, time
from pathlib import Path
import deckwright.toolkit.speech
from deckwright import build_deck
from deckwright_builtins.espeak import Espeak
from deckwright_builtins.pico import Pico

spent = {"synthesis": 0.0, "encoding": 0.0}

def timed(owner, name, share):
    original = getattr(owner, name)

    def function(*arguments):
        started = time.perf_counter()
        try:
            return original(*arguments)
        finally:
            spent[share] += time.perf_counter() - started

    setattr(owner, name, function)

timed(Pico, "_synthesize", "synthesis")
timed(Espeak, "_synthesize", "synthesis")
timed(deckwright.toolkit.speech, "encode_mp3", "encoding")

with open(sys.argv[1], encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
words = [
    {"word": f"{a['word']}, {b['word']}" if i else a["word"], "translation": a["translation"]}
    for i, b in enumerate(rows) for a in rows
][:1000]

with tempfile.TemporaryDirectory() as folder:
    os.environ["DECKWRIGHT_STORE"] = str(Path(folder, "store"))
    started = time.perf_counter()
    report = build_deck(words, language="es", output=Path(folder, "bench.apkg"))
    seconds = time.perf_counter() - started
    size = Path(folder, "bench.apkg").stat().st_size
    assert report.delivered["sounds"] == (1000, 1000), report

    try:
        import resource

        used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        peak = sum(used) / (1024 if sys.platform == "linux" else 1024**2)
    except ImportError:  # Windows
        peak = float("nan")
print(json.dumps({"seconds": seconds, "stages": report.seconds, **spent, "peak": peak, "size": size}))
"""


def figures(examples: str) -> Iterator[Figure]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, f"{examples}/spanish.csv"], check=True, stdout=subprocess.PIPE
    )
    found = json.loads(done.stdout)
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in found["stages"].items())
    yield Figure("deckwright build of 1,000 words", f"{found['seconds']:.1f} s", detail=stages)
    for part, what in (("synthesis", "the synthesis itself"), ("encoding", "making MP3s")):
        share = found[part] / found["seconds"]
        yield Figure(f"... of that, {what}", f"{share:.0%}", detail=f"{found[part]:.1f} s")
    yield Figure(
        "... peak memory, of the build and what it starts",
        f"{found['peak']:.0f} MB",
        detail=f"the deck is {found['size'] / 1e6:.1f} MB",
    )
