"""Records what a piece of code opens: files, connections, processes, databases, threads."""

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

# Descriptions by the names of Python's audit events.
_EVENTS = {
    "open": "the file",
    "socket.__new__": "a socket",
    "socket.getaddrinfo": "a lookup of the host",
    "subprocess.Popen": "a process of",
    "os.exec": "a process of",
    "os.fork": "a process",
    "os.posix_spawn": "a process of",
    "os.system": "a process of",
    "sqlite3.connect": "the database",
}
_WITHOUT_A_NAME = ("socket.__new__", "os.fork")

Listener = Callable[[str, tuple[Any, ...]], None]


@attrs.frozen
class OpenedResource:
    """Something that was opened.

    Attributes:
        description: What it is.
        path: The file, if it is one that was opened by its path.
    """

    description: str
    path: Path | None = None


@contextmanager
def record_opened() -> Iterator[list[OpenedResource]]:
    """Record what a `with` block opens in this thread, except source code that is imported or shown."""
    found: list[OpenedResource] = []
    thread = threading.get_ident()

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and threading.get_ident() == thread and not _is_about_code():
            found.append(_resource(event, arguments))

    listeners = _listeners()
    threads = set(threading.enumerate())
    listeners.append(listen)
    try:
        yield found
    finally:
        listeners.remove(listen)
        # Before Python 3.12 no event reports a new thread. One that has ended already does no harm.
        new_threads = set(threading.enumerate()) - threads
        found += [OpenedResource(f"the thread {new.name}") for new in new_threads]


@functools.cache
def _listeners() -> list[Listener]:
    """Return the active listeners. The audit hook is added once, since it cannot be removed."""
    listeners: list[Listener] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        for listener in tuple(listeners):
            listener(event, arguments)

    sys.addaudithook(hook)
    return listeners


def _resource(event: str, arguments: tuple[Any, ...]) -> OpenedResource:
    name = arguments[0] if arguments and event not in _WITHOUT_A_NAME else None
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if event == "open" and isinstance(name, str):
        path = Path(name)
        return OpenedResource(f"{_EVENTS[event]} {path}", path)
    return OpenedResource(f"{_EVENTS[event]} {name}" if name is not None else _EVENTS[event])


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
