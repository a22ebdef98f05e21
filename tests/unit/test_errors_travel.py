"""An error that arose in another process says here what it said there."""

from __future__ import annotations

import inspect
import pickle
from datetime import datetime, timezone

import pytest

from deckwright import (
    MediaResult,
    ProviderError,
    QuotaError,
    RateLimitedError,
    TransientError,
    errors,
    tracebacks,
)

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ProviderError) and kind.__module__ == errors.__name__
]


def travelled(error: ProviderError) -> ProviderError:
    result = MediaResult(False, error=error.message, failure=error)
    arrived: MediaResult = pickle.loads(pickle.dumps(result))
    assert arrived.failure is not None
    return arrived.failure


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_marked", [False, True])
def test_every_kind_arrives_whole(kind: type[ProviderError], is_marked: bool) -> None:
    error = kind("It said a-secret.", hint="Do not say a-secret.")
    if is_marked:
        error.is_unexpected = error.is_timeout = True
    error.redact(["a-secret"])
    arrived = travelled(error)
    assert type(arrived) is kind
    assert (arrived.message, arrived.hint) == ("It said ***.", "Do not say ***.")
    assert (arrived.is_unexpected, arrived.is_timeout) == (is_marked, is_marked)
    assert arrived.out_for_run is kind.out_for_run
    assert (str(arrived), arrived.args) == (str(error), error.args)


def test_what_only_some_of_them_say_arrives_too() -> None:
    reset = datetime(2026, 11, 24, 22, tzinfo=timezone.utc)
    lost = travelled(TransientError("No answer.", reply_lost=True))
    limited = travelled(RateLimitedError("Too many.", retry_after=1.5))
    spent = travelled(QuotaError("No more today.", resets_at=reset))
    assert isinstance(lost, TransientError)
    assert isinstance(limited, RateLimitedError)
    assert isinstance(spent, QuotaError)
    assert (lost.reply_lost, limited.retry_after, spent.resets_at) == (True, 1.5, reset)


def test_an_error_that_nobody_foresaw_still_says_where_it_arose() -> None:
    error = tracebacks.as_provider_error(ZeroDivisionError("division by zero"))
    error.hint = "Raised at bells.py:12."
    arrived = travelled(error)
    assert arrived.is_unexpected
    assert str(arrived) == str(error)


def test_there_are_such_kinds() -> None:
    assert {TransientError, RateLimitedError, QuotaError} < set(KINDS)
