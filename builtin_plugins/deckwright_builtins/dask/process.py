"""A worker on this machine: `python process.py`, with a line of JSON on its standard input.

The line holds the address of the `scheduler`, the `name` of the worker, its `folder` for temporary files, and the
`path` on which it finds modules. The worker ends at the end of its input: when the build closes it, or has ended.
"""

from __future__ import annotations

import signal

# A Ctrl-C reaches every process of a terminal, at any moment; only the build ends its workers.
signal.signal(signal.SIGINT, signal.SIG_IGN)

import asyncio  # noqa: E402
import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402


def end_with_input(folder: str) -> None:
    """Wait for the end of the input, then end the process at once."""
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # other workers may still have their folders there
        os.rmdir(os.path.dirname(folder))  # noqa: PTH106, PTH120
    os._exit(0)


async def work(scheduler: str, name: str, folder: str) -> None:
    """Run a worker until its scheduler ends."""
    import dask.config
    from distributed import Worker

    # It would inspect every thread a hundred times per second, for a page that nobody opens.
    dask.config.set({"distributed.worker.profile.enabled": False})
    async with Worker(
        scheduler, name=name, nthreads=1, host="127.0.0.1", dashboard=False, local_directory=folder
    ) as worker:
        await worker.finished()


def main() -> None:
    """Read the line of JSON, and run the worker."""
    options = json.loads(sys.stdin.readline())
    # It began with the folder of this file, whose modules are not for import.
    sys.path[:] = options["path"]
    folder = options["folder"]
    threading.Thread(target=end_with_input, args=(folder,), daemon=True).start()
    asyncio.run(work(options["scheduler"], options["name"], folder))


if __name__ == "__main__":
    main()
