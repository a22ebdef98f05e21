"""Workers on this machine, and the scheduler in this process that they belong to.

Not the processes of Dask's own `LocalCluster`: those import the program's main module once more, so that a program
without `if __name__ == "__main__"` would build its deck in each of them; and a Ctrl-C ends them.
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
# Seconds that a worker may take to end once it is told to.
_PATIENCE = 5


class LocalWorker:
    """A worker's process.

    Args:
        name: What it is called.
        scheduler: The address of its scheduler.
        folder: Where it may leave files, which go with it.
        complaints: Where its standard error goes.
    """

    def __init__(self, name: str, scheduler: str, folder: Path, complaints: IO[bytes]) -> None:
        self.name = name
        self._complaints = complaints
        folder.mkdir()
        self._process = subprocess.Popen(  # noqa: S603 - this very Python, and a file of this package
            [sys.executable, str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the working directory
        given = {"scheduler": scheduler, "name": name, "folder": str(folder), "path": path}
        with contextlib.suppress(OSError):  # it is gone already, which is met soon enough
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.write(json.dumps(given).encode() + b"\n")
            self._process.stdin.flush()

    def require_running(self) -> None:
        """Raise `BuildError` when it has ended."""
        code = self._process.poll()
        if code is None:
            return
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
        raise BuildError(f"Worker {self.name} of the engine dask ended before it had begun ({said}).")

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def local_workers(count: int, timeout: float) -> Iterator[str]:
    """Have so many workers on this machine, and give the address of their scheduler.

    Args:
        count: How many.
        timeout: How many seconds they may take to start.

    Raises:
        BuildError: They do not start.
    """
    from distributed import LocalCluster

    new_cluster: Any = LocalCluster  # which has no types
    with ExitStack() as stack:
        root = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="deckwright-dask-", ignore_cleanup_errors=True)
            )
        )
        cluster = stack.enter_context(
            new_cluster(
                n_workers=0,
                host="127.0.0.1",
                protocol="tcp",
                # Any port, since a status page there is anyway; by default it would be a certain one.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"local_directory": str(root)},
                silence_logs=False,
            )
        )
        workers = []
        for number in range(count):
            complaints = stack.enter_context(tempfile.TemporaryFile())
            worker = LocalWorker(
                str(number + 1), cluster.scheduler_address, root / str(number + 1), complaints
            )
            stack.callback(worker.close)
            workers.append(worker)
        latest = time.monotonic() + timeout
        while len(cluster.scheduler_info["workers"]) < count:
            for worker in workers:
                worker.require_running()
            if time.monotonic() > latest:
                raise BuildError(
                    f"The {count} workers of the engine dask did not start within {timeout:g} s.",
                    hint="Set a larger timeout in [providers.engine.dask], or fewer workers.",
                )
            time.sleep(0.05)
        yield cluster.scheduler_address
