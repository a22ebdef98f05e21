"""This side of the conversation with espeak-ng's process: starting it, asking it, and ending it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")
# A Ctrl-C reaches every process of the terminal's group; the process is in one of its own, for whoever started it
# says when it ends. Should that one be killed, the process reads the end of its input.
_APART: dict[str, Any] = {"start_new_session": True}
if sys.platform == "win32":
    _APART = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


class WorkerDiedError(Exception):
    """The process ended without an answer."""


class WorkerHungError(Exception):
    """The process gave no answer in time, and was ended."""


class Worker:
    """A running espeak-ng. After one of its errors nothing can be asked any more, and it is only to be closed.

    Args:
        library: The path of the shared library.
        data: The path of its data.
        timeout: How many seconds an answer may take.

    Attributes:
        voices: The name of the voice for each language tag, in lower case.

    Raises:
        OSError: The process cannot be started.
        WorkerDiedError: It ended at once: the library cannot be used.
    """

    def __init__(self, library: str, data: str, timeout: float) -> None:
        self._timeout = timeout
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            # Isolated and without site-packages: it needs the standard library alone, and starts fast. Run by
            # its path, it does not depend on how this package was found; isolated, it does not find the modules
            # that lie about that path.
            self._process = subprocess.Popen(  # noqa: S603 - this very Python, and a file of this package
                [sys.executable, "-I", "-S", str(WORKER), library, data],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                **_APART,
            )
        except OSError:
            self._complaints.close()
            raise
        try:
            self.voices: dict[str, str] = self._exchange(b"")[0]["voices"]
        except BaseException:
            self.close()
            raise

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Have a word spoken; the worker's module says what is in the request and in the answer.

        Returns:
            The answer, and the samples that follow it.

        Raises:
            WorkerDiedError: It ended.
            WorkerHungError: It took too long.
        """
        return self._exchange(json.dumps(request).encode() + b"\n")

    def close(self) -> None:
        """End the process; there is nothing that it could lose."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            with contextlib.suppress(OSError):  # a request that never went out
                pipe.close()  # type: ignore[union-attr]

    def _exchange(self, line: bytes) -> tuple[dict[str, Any], bytes]:
        hung = threading.Event()

        def cut_off() -> None:
            hung.set()
            self._process.kill()

        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None  # noqa: S101 - both are pipes
        assert answers is not None  # noqa: S101
        # Pipes have no timeout on every system; ending the process ends the wait.
        timer = threading.Timer(self._timeout, cut_off)
        timer.daemon = True
        timer.start()
        try:
            requests.write(line)
            requests.flush()
            answer = json.loads(answers.readline())
            samples = answers.read(answer["bytes"])
            if len(samples) < answer["bytes"]:
                raise EOFError
        except (OSError, EOFError, ValueError) as error:
            if hung.is_set():
                raise WorkerHungError from error
            raise WorkerDiedError(self._last_words()) from error
        else:
            return answer, samples
        finally:
            timer.cancel()

    def _last_words(self) -> str:
        code = self._process.wait()  # the timer is still running
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
