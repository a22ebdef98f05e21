"""Many at once: threads that take jobs from a list until none is left, or until the user wants no more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

# Seconds between looks, where an interrupt would else not be noticed.
_LOOK_AGAIN = 0.5

Job = Callable[[], None]


class Crew:
    """Threads that carry jobs out.

    Attributes:
        is_stopping: Whether no further job is begun: an interrupt came, or one has failed.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self._lock = threading.Lock()
        self._finished = threading.Condition(self._lock)
        self._at_work = 0
        self._error: BaseException | None = None

    def hire(self, jobs: Iterator[Job], count: int) -> None:
        """Start so many threads on the same jobs, which they take one after the other."""
        taking = threading.Lock()
        self._at_work += count
        for _ in range(count):
            # A thread that a second interrupt leaves behind must not keep the process from ending.
            threading.Thread(
                target=self._work, args=(jobs, taking), name="deckwright-build", daemon=True
            ).start()

    def wait(self, when_interrupted: Callable[[], None]) -> None:
        """Wait until all jobs are done.

        Args:
            when_interrupted: Called when the user wants no more; what is in flight is finished first.

        Raises:
            KeyboardInterrupt: The user wanted no more; at once, where that is said twice.
            BaseException: What the first job to fail has raised.
        """
        was_interrupted = False
        while True:
            try:
                with self._lock:
                    while self._at_work:
                        self._finished.wait(_LOOK_AGAIN)
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

    def _work(self, jobs: Iterator[Job], taking: threading.Lock) -> None:
        try:
            while not self.is_stopping:
                with taking:
                    job = next(jobs, None)
                if job is None:
                    break
                job()
        except BaseException as error:  # noqa: BLE001 - raised again, where all of it is waited for
            self.is_stopping = True
            with self._lock:
                self._error = self._error or error
        finally:
            with self._lock:
                self._at_work -= 1
                self._finished.notify_all()
