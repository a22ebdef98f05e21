"""Calling the code of plugins, which may hang."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from deckwright.errors import PluginError

T = TypeVar("T")

# How many times longer than for anything else a plugin may take to read a word list, or to make one sound or picture:
# some services take a minute for a picture.
GENERATION_TIME_FACTOR = 20


class PluginTimeoutError(PluginError):
    """A plugin took longer than it may."""


def call_with_timeout(timeout: float | None, call: Callable[[], T], doing: str = "") -> T:
    """Call a function, and wait for it no longer than a time.

    With a timeout the call is made in a thread of its own. A thread cannot be ended from outside: one that takes too
    long is abandoned, and ends with the process.

    Args:
        timeout: In seconds. None or 0 makes the call in the caller's own thread, however long it takes.
        call: A function without arguments.
        doing: What it does, for the message: `"close"`.

    Raises:
        PluginTimeoutError: It took too long.
        BaseException: The call raised it.
    """
    if not timeout:
        return call()
    returned: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            raised.append(error)

    thread = threading.Thread(target=run, name="deckwright-plugin", daemon=True)
    thread.start()
    thread.join(min(timeout, threading.TIMEOUT_MAX))
    if raised:
        raise raised[0]
    if not returned:
        raise PluginTimeoutError(
            f"{doing} took longer than {timeout:g} s".lstrip(),
            hint="If it needs that long, set a larger time_limit in [plugins].",
        )
    return returned[0]
