"""The circuit breaker: whether a provider is still asked, judged by how its requests ended."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

from deckwright import errors
from deckwright.errors import ProviderError

# After so many passing errors in a row, each after all retries of the provider's own, a service counts as down.
MAX_TRANSIENT_ERRORS = 3
# After so many other errors in a row, a provider counts as one that never delivers.
MAX_OTHER_ERRORS = 10


class CircuitBreaker:
    """Counts the errors of one provider, and disables it for the rest of the build. Threads may share it.

    Attributes:
        disabled: Why the provider is not asked any more; None while it is.
        defects: Errors that no request should cause.
    """

    def __init__(self) -> None:
        self.disabled: ProviderError | None = None
        self.defects: list[ProviderError] = []
        self._transient_errors = 0
        self._other_errors = 0
        self._lock = threading.Lock()

    @property
    def errors_in_a_row(self) -> int:
        """How many errors there were since the provider last worked."""
        return self._transient_errors + self._other_errors

    def check(self) -> ProviderError | None:
        """Return why the provider is not asked; None when it is. A quota that was renewed enables it again."""
        with self._lock:
            resets_at = self.disabled.resets_at if isinstance(self.disabled, errors.QuotaError) else None
            if resets_at and datetime.now(timezone.utc) >= resets_at.astimezone():
                self.disabled = None
            return self.disabled

    def disable(self, error: ProviderError) -> None:
        """Ask the provider no more."""
        with self._lock:
            self.disabled = error

    def record_success(self) -> None:
        """Take note that the provider works."""
        with self._lock:
            self._transient_errors = self._other_errors = 0

    def record(self, error: ProviderError, errors_before: int | None = None) -> None:
        """Take note of an error, and disable the provider if asking again is pointless.

        Args:
            error: The error.
            errors_before: The `errors_in_a_row` when the request was sent; None when the error does not count as one
                more. Errors of requests that were in flight together count once: one short break of the network must
                not disable a provider.
        """
        with self._lock:
            if isinstance(error, errors.BadMediaError) or error.is_unexpected:
                self.defects.append(error)
            is_refusal = isinstance(error, (errors.NotFoundError, errors.ContentPolicyError))
            is_transient = isinstance(error, errors.TransientError)
            if is_refusal:  # the provider works
                self._transient_errors = self._other_errors = 0
            elif errors_before == self.errors_in_a_row:
                self._transient_errors += is_transient
                self._other_errors += not is_transient
            count, maximum = self._other_errors, MAX_OTHER_ERRORS
            if is_transient:
                count, maximum = self._transient_errors, MAX_TRANSIENT_ERRORS
            if self.disabled is None and (error.out_for_run or error.is_timeout or count >= maximum):
                self.disabled = error
