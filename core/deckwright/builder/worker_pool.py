"""Many at once: threads that take jobs from a list until none is left, or until the user wants no more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

# Seconds between looks, where an interrupt would else not be noticed.
_LOOK_AGAIN = 0.1

Job = Callable[[], None]


class Crew:
    """Threads that carry jobs out.

    Attributes:
        is_stopping: Whether no further job is begun: an interrupt came, or one has failed.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self._is_done = threading.Event()
        self._error: BaseException | None = None

    def work(self, teams: Sequence[tuple[Iterator[Job], int]], when_interrupted: Callable[[], None]) -> None:
        """Carry all jobs out, and wait until they are done.

        Args:
            teams: Jobs, each with how many threads are to take them, one after the other.
            when_interrupted: Called when the user wants no more; what is in flight is finished first.

        Raises:
            KeyboardInterrupt: The user wanted no more; at once, where that is said twice.
            BaseException: What the first job to fail has raised.
        """
        # An interrupt comes to the main thread, at any point; so all that counts is done in others. Those that a
        # second interrupt leaves behind must not keep the process from ending.
        foreman = threading.Thread(target=self._lead, args=(teams,), name="deckwright-crew", daemon=True)
        was_interrupted = False
        while True:
            try:
                if foreman.ident is None:
                    foreman.start()
                # Not `join`: before Python 3.13, one that is interrupted takes the thread for ended.
                while not self._is_done.wait(_LOOK_AGAIN):
                    pass
                break
            except KeyboardInterrupt:
                self.is_stopping = True
                if was_interrupted:
                    raise
                was_interrupted = True
                when_interrupted()
        if self._error is not None:
            raise self._error
        if was_interrupted:
            raise KeyboardInterrupt

    def _lead(self, teams: Sequence[tuple[Iterator[Job], int]]) -> None:
        threads: list[threading.Thread] = []
        try:
            for jobs, count in teams:
                taking = threading.Lock()
                for _ in range(count):
                    thread = threading.Thread(
                        target=self._take, args=(jobs, taking), name="deckwright-build", daemon=True
                    )
                    thread.start()
                    threads.append(thread)
        except BaseException as error:  # noqa: BLE001 - the system has no more threads, for instance
            self._fail(error)
        for thread in threads:
            thread.join()
        self._is_done.set()

    def _take(self, jobs: Iterator[Job], taking: threading.Lock) -> None:
        try:
            while not self.is_stopping:
                with taking:
                    job = next(jobs, None)
                if job is None:
                    break
                job()
        except BaseException as error:  # noqa: BLE001 - raised again, where all of it is waited for
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.is_stopping = True
        self._error = self._error or error
