"""Calling the code of plugins, any of which may never come back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from deckwright.errors import PluginError

T = TypeVar("T")


class OverdueError(PluginError):
    """A plugin took longer than it may."""


def within(limit: float | None, call: Callable[[], T], doing: str = "") -> T:
    """Make a call that may take so long and no longer.

    With a limit it is made in a thread of its own. A thread cannot be ended from outside: one that takes too
    long is left behind, and ends with the process.

    Args:
        limit: In seconds. None or 0 makes the call in the caller's own thread, however long it takes.
        call: A function without arguments.
        doing: What it does, for the message: `"close"`.

    Raises:
        OverdueError: It took too long.
        BaseException: Whatever the call raises.
    """
    if not limit:
        return call()
    returned: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again, where the call was asked for
            raised.append(error)

    thread = threading.Thread(target=run, name="deckwright-plugin", daemon=True)
    thread.start()
    thread.join(min(limit, threading.TIMEOUT_MAX))
    if raised:
        raise raised[0]
    if not returned:
        raise OverdueError(
            f"{doing} took longer than {limit:g} s".lstrip(),
            hint="If it needs that long, set a larger time_limit in [plugins].",
        )
    return returned[0]
