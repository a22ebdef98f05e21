"""Start-up: the time of an import and of the smallest command, each in new interpreters."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Figure, from_times, in_new_process, whole_process

TIMED = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
HELLO = """
import click

@click.command()
@click.version_option("1", prog_name="hello")
def hello():
    click.echo("hello")

hello()
"""
VERSION = "from deckwright.cli import main; main()"
FIRST_REGISTRY = """
import time
t = time.perf_counter()
from deckwright import ProviderRegistry
ProviderRegistry.from_config()
print(time.perf_counter() - t)
"""
FIND_PLUGINS = """
import sys, time
sys.path.append({!r})
from deckwright import ProviderRegistry
t = time.perf_counter()
ProviderRegistry().plugins
print(time.perf_counter() - t)
"""
# The number of distributions without a plugin, and how many milliseconds they may add.
UNRELATED = 100
BOUND_MS = 10


def figures() -> Iterator[Figure]:
    ours = min(in_new_process(TIMED.format("deckwright")) for _ in range(9))
    other = min(in_new_process(TIMED.format("pluggy, attrs, tomli")) for _ in range(9))
    yield from_times("import deckwright / import pluggy, attrs, tomli", ours, other, 1.25)
    times = [(whole_process(VERSION, "--version"), whole_process(HELLO, "--version")) for _ in range(15)]
    version, hello = (min(column) for column in zip(*times, strict=True))
    yield from_times("deckwright --version / the same of a click program of five lines", version, hello, 1.5)
    first = min(in_new_process(FIRST_REGISTRY) for _ in range(5))
    yield Figure(
        "from deckwright import ProviderRegistry; ProviderRegistry.from_config()", f"{first * 1e3:.0f} ms"
    )
    yield from among_unrelated()


def among_unrelated() -> Iterator[Figure]:
    """Compare the start-up among many installed distributions without a plugin with the start-up among none."""
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as full:
        for number in range(UNRELATED):
            info = Path(full, f"unrelated_{number}-1.0.dist-info")
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: unrelated-{number}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(
                f"[console_scripts]\nrun-{number} = unrelated_{number}:main\n"
            )
        times = [[in_new_process(FIND_PLUGINS.format(folder)) for folder in (full, empty)] for _ in range(15)]
        yield _more(f"ProviderRegistry().plugins among {UNRELATED} unrelated distributions, over none", times)
        version = f"import sys; sys.path.append({{!r}}); {VERSION}"
        times = [
            [whole_process(version.format(folder), "--version") for folder in (full, empty)]
            for _ in range(15)
        ]
        yield _more(f"deckwright --version among {UNRELATED} unrelated distributions, over none", times)


def _more(what: str, times: list[list[float]]) -> Figure:
    full, empty = (min(column) * 1e3 for column in zip(*times, strict=True))
    more = full - empty
    detail = f"{full:.3g} ms against {empty:.3g} ms"
    return Figure(what, f"{more:+.1f} ms", f"{BOUND_MS} ms", more < BOUND_MS, detail)
