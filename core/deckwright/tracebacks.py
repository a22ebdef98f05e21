"""Errors raised by the code of others: as text, with the place that raised them, as a `ProviderError`."""

from __future__ import annotations

import os
from collections.abc import Iterable

from deckwright.errors import ProviderError
from deckwright.secrets import redact


def format_traceback(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Return the traceback of an error as Python prints it, with a mask for each of `secrets`."""
    import traceback

    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)), secrets)


def format_error(error: BaseException) -> str:
    """Return an error of any kind in words: its class, and its message where it has one."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - even the message of a stranger's error may raise
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def error_location(error: BaseException) -> str:
    """Return where in the code of others an error arose, as `"file:line"`; empty where that cannot be told.

    Of the frames in the folder where the error left Deckwright's own code, it is the innermost.
    """
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f"{error.filename}:{error.lineno}"
    place = folder = ""
    trace = error.__traceback__
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if not folder and is_external_code(file):
            folder = os.path.dirname(file)  # noqa: PTH120 - of what may be no path at all
        if folder and os.path.dirname(file) == folder:  # noqa: PTH120
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def is_external_code(file: str) -> bool:
    """Say whether a file of code is neither this package's nor the standard library's; `<...>` is no file."""
    return not file.startswith(("<", _CORE)) and (
        not file.startswith(_STANDARD_LIBRARY) or "-packages" in file.removeprefix(_STANDARD_LIBRARY)
    )


_CORE = os.path.dirname(__file__) + os.sep  # noqa: PTH120
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120


def as_provider_error(error: BaseException) -> ProviderError:
    """Return whatever else a provider raised as one of its errors, which says where it arose."""
    place = error_location(error)
    failure = ProviderError(format_error(error), hint=f"It arose at {place}." if place else None)
    # A mark, and not the error itself as the cause: what that says may hold a secret.
    failure.is_unforeseen = True
    return failure
