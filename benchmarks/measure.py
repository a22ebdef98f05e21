"""Measures figures: the ratio of two times from one run, each the best of several tries in turn."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

# What slow benchmarks divide their work by.
PART = 10 if "DECKWRIGHT_BENCH_QUICK" in os.environ else 1


@dataclass(frozen=True)
class Figure:
    """One row of the table: a ratio or a plain value, its bound, and the times behind it."""

    what: str
    value: str
    bound: str = ""
    kept: bool | None = None
    detail: str = ""


def ratio(
    what: str,
    ours: Callable[[], object],
    other: Callable[[], object],
    bound: float,
    tries: int = 9,
) -> Figure:
    """Time `ours` and `other` in turn, and compare the best time of each."""
    best_ours = best_other = float("inf")
    for _ in range(tries):
        best_other = min(best_other, seconds(other))
        best_ours = min(best_ours, seconds(ours))
    return from_times(what, best_ours, best_other, bound)


def from_times(what: str, ours: float, other: float, bound: float) -> Figure:
    """Return the figure for two times."""
    factor = ours / other
    times = f"{_short(ours)} against {_short(other)}"
    return Figure(what, f"{factor:.2f} x", f"{bound:g} x", factor <= bound, times)


def seconds(function: Callable[[], object]) -> float:
    gc.collect()
    started = time.perf_counter()
    result = function()
    taken = time.perf_counter() - started
    del result
    return taken


def in_new_process(code: str, *arguments: str) -> float:
    """Run code that prints seconds in a new interpreter, and return the seconds."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, env=None
    )
    return float(done.stdout.split()[-1])


def whole_process(code: str, *arguments: str) -> float:
    """Return how long a new interpreter takes to run this code, from start to end."""
    return seconds(
        lambda: subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
    )


def _short(value: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
