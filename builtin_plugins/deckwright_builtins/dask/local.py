"""Starts workers on this machine, and their scheduler in this process.

Dask's own `LocalCluster` cannot start them: its processes import the main module of the program again, so a program
without `if __name__ == "__main__"` would build its deck in each of them, and a Ctrl-C ends them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from deckwright import BuildError

_SCRIPT = Path(__file__).with_name("process.py")
_END_TIMEOUT = 5  # seconds


class LocalWorker:
    """The process of a worker, with a folder for temporary files and a file for its standard error."""

    def __init__(self, name: str, scheduler: str, folder: Path, stderr: IO[bytes]) -> None:
        self.name = name
        self._stderr = stderr
        folder.mkdir()
        self._process = subprocess.Popen(  # noqa: S603 - this very Python, and a file of this package
            [sys.executable, str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the working directory
        options = {"scheduler": scheduler, "name": name, "folder": str(folder), "path": path}
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._stdin = self._process.stdin
        with contextlib.suppress(OSError):  # it has ended already, which `require_running` reports
            self._stdin.write(json.dumps(options).encode() + b"\n")
            self._stdin.flush()

    def require_running(self) -> None:
        """Raise `BuildError` if it has ended."""
        code = self._process.poll()
        if code is None:
            return
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        reason = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
        raise BuildError(f"Worker {self.name} of the engine dask could not start ({reason}).")

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def local_workers(count: int, timeout: float) -> Iterator[str]:
    """Start workers on this machine, and yield the address of their scheduler.

    Raises:
        BuildError: They do not start within `timeout` seconds.
    """
    from distributed import LocalCluster

    new_cluster: Any = LocalCluster  # it has no types
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="deckwright-dask-", ignore_cleanup_errors=True)
        root = Path(stack.enter_context(folder))
        cluster = stack.enter_context(
            new_cluster(
                n_workers=0,
                host="127.0.0.1",
                protocol="tcp",
                # There is always a status page; by default its port is fixed, and may be taken.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"local_directory": str(root)},
                silence_logs=False,
            )
        )
        workers = []
        for name in map(str, range(1, count + 1)):
            stderr = stack.enter_context(tempfile.TemporaryFile())
            worker = LocalWorker(name, cluster.scheduler_address, root / name, stderr)
            stack.callback(worker.close)
            workers.append(worker)
        latest = time.monotonic() + timeout
        while len(cluster.scheduler_info["workers"]) < count:
            for worker in workers:
                worker.require_running()
            if time.monotonic() > latest:
                raise BuildError(
                    f"The {count} workers of the engine dask did not start within {timeout:g} s.",
                    hint="Set a larger timeout or fewer workers in [providers.engine.dask].",
                )
            time.sleep(0.05)
        yield cluster.scheduler_address
