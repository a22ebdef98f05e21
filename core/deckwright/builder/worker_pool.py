"""A worker pool: threads that take jobs from queues until none is left, or until the user interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

# Seconds between checks for an interrupt, which would otherwise go unnoticed.
_POLL_INTERVAL = 0.1

Job = Callable[[], None]


class WorkerPool:
    """Threads that do jobs.

    Attributes:
        stopping: Set when no further job is begun: an interrupt came, or a job failed.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._is_done = threading.Event()
        self._error: BaseException | None = None

    def run(self, queues: Sequence[tuple[Iterator[Job], int]], on_interrupt: Callable[[], None]) -> None:
        """Do all jobs, and wait until they are done.

        Args:
            queues: Jobs in order, each queue with its number of threads.
            on_interrupt: Called when the user interrupts; the jobs in flight are finished first.

        Raises:
            KeyboardInterrupt: The user interrupted; the second interrupt does not wait for the jobs in flight.
            BaseException: What the first job to fail has raised.
        """
        # An interrupt comes to the main thread, at any point; so everything that counts is done in others. They are
        # daemons, since those that a second interrupt leaves behind must not keep the process from ending.
        coordinator = threading.Thread(
            target=self._coordinate, args=(queues,), name="deckwright-coordinator", daemon=True
        )
        was_interrupted = False
        while True:
            try:
                if coordinator.ident is None:
                    coordinator.start()
                # Not `join`: before Python 3.13, an interrupted one takes the thread for ended.
                while not self._is_done.wait(_POLL_INTERVAL):
                    pass
                break
            except KeyboardInterrupt:
                self.stopping.set()
                if was_interrupted:
                    raise
                was_interrupted = True
                on_interrupt()
        if self._error is not None:
            raise self._error
        if was_interrupted:
            raise KeyboardInterrupt

    def _coordinate(self, queues: Sequence[tuple[Iterator[Job], int]]) -> None:
        threads: list[threading.Thread] = []
        try:
            for jobs, count in queues:
                lock = threading.Lock()
                for _ in range(count):
                    thread = threading.Thread(
                        target=self._work, args=(jobs, lock), name="deckwright-worker", daemon=True
                    )
                    thread.start()
                    threads.append(thread)
        except BaseException as error:  # noqa: BLE001 - the system has no more threads, for instance
            self._fail(error)
        for thread in threads:
            thread.join()
        self._is_done.set()

    def _work(self, jobs: Iterator[Job], lock: threading.Lock) -> None:
        try:
            while not self.stopping.is_set():
                with lock:
                    job = next(jobs, None)
                if job is None:
                    break
                job()
        except BaseException as error:  # noqa: BLE001 - raised again in `run`
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.stopping.set()
        self._error = self._error or error
