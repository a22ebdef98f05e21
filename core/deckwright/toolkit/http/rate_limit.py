"""A limit on requests in any second."""

from __future__ import annotations

import time
from collections.abc import Callable

from deckwright.errors import MissingDependencyError
from deckwright.toolkit.install_hints import ONLINE_EXTRA

# Seconds by which requests that kept their distance here may draw closer on their way.
_MARGIN = 0.1


def missing(error: ImportError) -> MissingDependencyError:
    """Return the error for a package of the extra `online` that is not there."""
    return MissingDependencyError(
        f"Services on the network need packages that are not there ({error}).",
        hint=f'pip install "{ONLINE_EXTRA}"',
    )


def rate_limit(requests_per_second: float | None) -> Callable[[], bool] | None:
    """Return a function that says whether one more request may be made now, and counts it if so."""
    if requests_per_second is None:
        return None
    try:
        from pyrate_limiter import InMemoryBucket, Limiter, Rate, SingleBucketFactory
    except ImportError as error:
        raise missing(error) from error

    seconds = max(1.0, 1.0 / requests_per_second) + _MARGIN
    bucket = InMemoryBucket([Rate(max(1, int(requests_per_second)), int(1000 * seconds))])
    # Without the thread that would empty the bucket in the background, and never end.
    limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))

    def may_send() -> bool:
        bucket.leak(time.monotonic_ns() // 1_000_000)  # by the clock that the bucket goes by
        return bool(limiter.try_acquire(blocking=False))

    return may_send
