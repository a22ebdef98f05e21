"""Starting up: what an import and the smallest command cost, each in new interpreters."""

from __future__ import annotations

from collections.abc import Iterator

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
