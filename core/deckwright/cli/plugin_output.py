"""What plugins print while a command runs: on standard error, with secrets masked."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO, cast

from deckwright.secrets import redact


class PluginOutput(io.RawIOBase):
    """What stands behind the standard streams of a command, so that plugins print here.

    Standard output, which a program may read, is for the command's own results.

    Args:
        stream: Where it goes.
        results: Where the results of the command go.

    Attributes:
        secrets: What must not be shown.
        leaked: Those of them that were printed.
    """

    def __init__(self, stream: TextIO, results: TextIO) -> None:
        self.stream, self.results = stream, results
        self.secrets: set[str] = set()
        self.leaked: set[str] = set()

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def isatty(self) -> bool:
        """Return whether it goes to a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Return the file's number, for programs that a plugin starts."""
        return self.stream.fileno()

    def close(self) -> None:
        """Stay open: it is the command's, not a plugin's."""

    def write(self, data: object) -> int:
        """Show text, as UTF-8, with every secret masked."""
        content = bytes(data)  # type: ignore[call-overload]
        text = content.decode(errors="replace")
        shown = redact(text, self.secrets)
        if shown != text:
            self.leaked |= {secret for secret in self.secrets if redact(text, [secret]) != text}
        self.stream.write(shown)
        self.stream.flush()
        return len(content)


@contextmanager
def plugin_output() -> Iterator[PluginOutput]:
    """Replace the standard streams by one for what plugins print."""
    stdout, stderr = sys.stdout, sys.stderr
    output = PluginOutput(stderr, stdout)
    binary = cast("BinaryIO", output)  # typeshed asks for more than TextIOWrapper does
    sys.stdout = sys.stderr = io.TextIOWrapper(binary, "utf-8", "backslashreplace", write_through=True)
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = stdout, stderr
