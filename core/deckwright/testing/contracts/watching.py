"""Seeing what a piece of code opens: files, connections, processes, databases, threads."""

from __future__ import annotations

import functools
import linecache
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

# By the names of Python's audit events.
_OPENINGS = {
    "open": "the file",
    "socket.__new__": "a socket",
    "socket.getaddrinfo": "a look-up of the host",
    "subprocess.Popen": "a process of",
    "os.exec": "a process of",
    "os.fork": "a process",
    "os.posix_spawn": "a process of",
    "os.system": "a process of",
    "sqlite3.connect": "the database",
}
_WITHOUT_A_NAME = ("socket.__new__", "os.fork")

Watcher = Callable[[str, tuple[Any, ...]], None]


@attrs.frozen
class Opened:
    """Something that was opened.

    Attributes:
        what: It, in words.
        path: The file, when it was one that is known by a path.
    """

    what: str
    path: Path | None = None


@contextmanager
def opened() -> Iterator[list[Opened]]:
    """Collect what the code of a `with` block opens in this thread, but not source code, to import or show it."""
    found: list[Opened] = []
    thread = threading.get_ident()

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _OPENINGS and threading.get_ident() == thread and not _is_about_code():
            found.append(_opened(event, arguments))

    watchers = _watchers()
    threads = set(threading.enumerate())
    watchers.append(see)
    try:
        yield found
    finally:
        watchers.remove(see)
        # There is no event for it before Python 3.12; one that has ended again does no harm.
        found += [Opened(f"the thread {new.name}") for new in set(threading.enumerate()) - threads]


@functools.cache
def _watchers() -> list[Watcher]:
    """Return those who watch at the moment; the audit hook is added once, since it can never be taken off."""
    watchers: list[Watcher] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        for watcher in tuple(watchers):
            watcher(event, arguments)

    sys.addaudithook(hook)
    return watchers


def _opened(event: str, arguments: tuple[Any, ...]) -> Opened:
    named = arguments[0] if arguments and event not in _WITHOUT_A_NAME else None
    if isinstance(named, bytes):
        named = os.fsdecode(named)
    if event == "open" and isinstance(named, str):
        path = Path(named)
        return Opened(f"{_OPENINGS[event]} {path}", path)
    return Opened(f"{_OPENINGS[event]} {named}" if named is not None else _OPENINGS[event])


def _is_about_code() -> bool:
    frame = sys._getframe(1)
    while frame:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib") or file == linecache.__file__:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False
