"""A worker on this machine: `python process.py`, with a line of JSON on its standard input.

That line names the `scheduler`, the `name` of the worker, its `folder` for temporary files and the `path` on which it
finds modules. The worker ends with its input: when the build says so, and when the build is no more.
"""

from __future__ import annotations

import signal

# A Ctrl-C reaches every process of a terminal; how to end is for the build to say. It may come any moment.
signal.signal(signal.SIGINT, signal.SIG_IGN)

import asyncio  # noqa: E402
import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402


def end_with_input(folder: str) -> None:
    """Wait for the end of the input, and end then, with whatever is at work."""
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # of the other workers there is one that still has its folder there
        os.rmdir(os.path.dirname(folder))  # noqa: PTH106, PTH120
    os._exit(0)


async def work(scheduler: str, name: str, folder: str) -> None:
    """Be a worker until there is no scheduler any more."""
    import dask.config
    from distributed import Worker

    # It would look at every thread a hundred times in a second, for a page that nobody opens.
    dask.config.set({"distributed.worker.profile.enabled": False})
    async with Worker(
        scheduler, name=name, nthreads=1, host="127.0.0.1", dashboard=False, local_directory=folder
    ) as worker:
        await worker.finished()


def main() -> None:
    """Read what to do, and do it."""
    given = json.loads(sys.stdin.readline())
    # Until now it began with the folder of this file, which holds no modules for others.
    sys.path[:] = given["path"]
    folder = given["folder"]
    threading.Thread(target=end_with_input, args=(folder,), daemon=True).start()
    asyncio.run(work(given["scheduler"], given["name"], folder))


if __name__ == "__main__":
    main()
