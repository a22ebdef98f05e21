"""Errors that plugins raise: as text, as a diagnostic, as a `ProviderError`, and where they were raised."""

from __future__ import annotations

import os
from collections.abc import Iterable

from deckwright.diagnostics import Diagnostic, Severity
from deckwright.errors import DeckwrightError, ProviderError
from deckwright.secrets import redact

_CORE = os.path.dirname(__file__) + os.sep  # noqa: PTH120
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120


def format_error(error: BaseException) -> str:
    """Return the class of an error, and its message if it has one."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - even the message of a plugin's error may raise
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def format_traceback(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Return the traceback of an error as Python prints it, with every one of `secrets` masked."""
    import traceback

    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)), secrets)


def error_location(error: BaseException) -> str:
    """Return where the code of a plugin raised an error, as `"file:line"`; empty when that is not known.

    It is the innermost frame in the folder of the first frame that is not Deckwright's own.
    """
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f"{error.filename}:{error.lineno}"
    location = folder = ""
    frame = error.__traceback__
    while frame:
        file = frame.tb_frame.f_code.co_filename
        if not folder and is_external_code(file):
            folder = os.path.dirname(file)  # noqa: PTH120 - it may be no path at all
        if folder and os.path.dirname(file) == folder:  # noqa: PTH120
            location = f"{file}:{frame.tb_lineno}"
        frame = frame.tb_next
    return location


def is_external_code(file: str) -> bool:
    """Return whether a file of code is neither this package's nor the standard library's; `<...>` is no file."""
    return not file.startswith(("<", _CORE)) and (
        not file.startswith(_STANDARD_LIBRARY) or "-packages" in file.removeprefix(_STANDARD_LIBRARY)
    )


def diagnostic_of(
    error: BaseException,
    where: str,
    *,
    doing: str = "",
    secrets: Iterable[str] = (),
    severity: Severity = "error",
    file: str = "",
) -> Diagnostic:
    """Return an error of any kind as a diagnostic, with where the code of a plugin raised it.

    Args:
        error: The error.
        where: What the diagnostic is about.
        doing: What failed: `"cannot be imported"`.
        secrets: What must not be shown.
        severity: The severity of the diagnostic.
        file: The file that it is in, if that is known.
    """
    message, hint = format_error(error), ""
    if isinstance(error, DeckwrightError):
        message, hint = error.message, error.hint or ""
    if doing:
        message = f"{doing}: {message}"
    if location := error_location(error):
        message = f"{message}, at {location}"
    return Diagnostic(severity, where, message, hint, file).redacted(secrets)


def as_provider_error(error: BaseException) -> ProviderError:
    """Return any other error that a provider raised as a `ProviderError` that says where it was raised."""
    location = error_location(error)
    failure = ProviderError(format_error(error), hint=f"Raised at {location}." if location else None)
    # A mark, and not the error itself as the cause: its message may hold a secret.
    failure.is_unexpected = True
    return failure
