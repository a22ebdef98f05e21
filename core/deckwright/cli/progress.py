"""Shows how far a build is, and lets signals stop it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from deckwright.cli.output import dollars
from deckwright.cli.plugin_output import PluginOutput

_SECONDS_A_LINE = 10

if TYPE_CHECKING:
    from deckwright.builder import Progress
    from deckwright.builder.progress import ProgressCallback


@contextmanager
def shown_progress() -> Iterator[ProgressCallback]:
    """Show a bar for each stage on standard error, where that is a terminal; anywhere, that a build is stopping."""
    from rich.console import Console
    from rich.file_proxy import FileProxy
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    output = click.get_current_context().find_object(PluginOutput)
    err = Console(file=output.stream if output else sys.stderr)
    was_reported = threading.Event()

    def report_stopping(progress: Progress) -> None:
        if progress.is_stopping and not was_reported.is_set():
            was_reported.set()
            err.print("Stopping: what is in flight is finished first. Press Ctrl-C again to stop at once.")

    if output is None or not err.is_terminal:
        yield _Lines(report_stopping)
        return
    columns = (
        TextColumn("{task.description:>9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[cost]}"),
    )
    # What plugins print is masked first, and then shown above the bars; rich would do it the other way round.
    with Bars(*columns, console=err, transient=True, redirect_stdout=False, redirect_stderr=False) as bars:
        tasks: dict[str, Any] = {}

        def show(progress: Progress) -> None:
            report_stopping(progress)
            stage = progress.stage
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=progress.total, rate="", cost="")
            speed = bars.tasks[tasks[stage]].speed
            # The cost is that of all, so it stands on one line only.
            is_last = stage == list(tasks)[-1]
            bars.update(
                tasks[stage],
                completed=progress.done,
                rate=f"{speed:.1f}/s" if speed else "",
                cost=f"{dollars(progress.cost)} in all" if progress.cost and is_last else "",
            )

        stream, output.stream = output.stream, cast("TextIO", FileProxy(err, output.stream))
        try:
            yield show
        finally:
            output.flush()
            output.stream = stream


class _Lines:
    """Shows progress where there is no terminal: in a line now and then, as for a log."""

    def __init__(self, report_stopping: ProgressCallback) -> None:
        self._report_stopping = report_stopping
        self._latest = time.monotonic()
        self._stages: dict[str, Progress] = {}

    def __call__(self, progress: Progress) -> None:
        self._report_stopping(progress)
        self._stages[progress.stage] = progress
        if time.monotonic() - self._latest >= _SECONDS_A_LINE:
            self._latest = time.monotonic()
            parts = [f"{each.stage} {each.done:,} of {each.total:,}" for each in self._stages.values()]
            parts += [f"{dollars(progress.cost)} so far"] if progress.cost else []
            click.echo(", ".join(parts), err=True)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let a request to end the process, as of a system that shuts down, stop a build as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # a program that runs commands in a thread handles signals itself
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
