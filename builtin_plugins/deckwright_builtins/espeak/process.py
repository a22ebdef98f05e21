"""Starts, uses and ends the process that runs espeak-ng."""

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
# A Ctrl-C reaches every process of the terminal's group. This process is in its own group, so that only its parent ends
# it. If the parent is killed, it reads the end of its input.
_OWN_GROUP: dict[str, Any] = {"start_new_session": True}
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


class WorkerDiedError(Exception):
    """The process ended without an answer."""


class WorkerTimeoutError(Exception):
    """The process did not answer in time, and was ended."""


class Worker:
    """A running espeak-ng. After one of its errors it can only be closed.

    Attributes:
        voices: The name of the voice for each language tag, in lower case.

    Raises:
        OSError: The process cannot be started.
        WorkerDiedError: It ended immediately: the library cannot be used.
    """

    def __init__(self, library: str, data: str, timeout: float) -> None:
        self._timeout = timeout
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            # It only needs the standard library, so it starts fast: isolated, and without site-packages. Its path does
            # not depend on how this package was imported, and isolated it does not import the modules beside it.
            self._process = subprocess.Popen(  # noqa: S603 - this very Python, and a file of this package
                [sys.executable, "-I", "-S", str(WORKER), library, data],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                **_OWN_GROUP,
            )
        except OSError:
            self._stderr.close()
            raise
        try:
            self.voices: dict[str, str] = self._exchange(b"")[0]["voices"]
        except BaseException:
            self.close()
            raise

    def request(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Send a request; return the answer and its samples. `worker.py` documents both.

        Raises:
            WorkerDiedError: The process ended.
            WorkerTimeoutError: It took too long.
        """
        return self._exchange(json.dumps(request).encode() + b"\n")

    def close(self) -> None:
        """End the process; it has nothing to lose."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            with contextlib.suppress(OSError):  # of a request that was never sent
                pipe.close()  # type: ignore[union-attr]

    def _exchange(self, line: bytes) -> tuple[dict[str, Any], bytes]:
        timed_out = threading.Event()

        def end() -> None:
            timed_out.set()
            self._process.kill()

        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None  # noqa: S101 - both are pipes
        assert answers is not None  # noqa: S101
        # Not every system has a timeout for pipes; ending the process ends the wait.
        timer = threading.Timer(self._timeout, end)
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
            if timed_out.is_set():
                raise WorkerTimeoutError from error
            raise WorkerDiedError(self._exit_reason()) from error
        else:
            return answer, samples
        finally:
            timer.cancel()

    def _exit_reason(self) -> str:
        code = self._process.wait()  # the timer is still running
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
