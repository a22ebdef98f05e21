"""Limits how many requests are sent in any second."""

from __future__ import annotations

import time
from collections.abc import Callable

from deckwright.toolkit.install_hints import ONLINE_EXTRA, missing_dependency

# Seconds: requests may come closer together on their way to the service.
_MARGIN = 0.1


def rate_limit(requests_per_second: float | None) -> Callable[[], bool] | None:
    """Return a function that counts one more request and returns True if it may be sent now."""
    if requests_per_second is None:
        return None
    try:
        from pyrate_limiter import InMemoryBucket, Limiter, Rate, SingleBucketFactory
    except ImportError as error:
        raise missing_dependency("Online services need more packages", error, ONLINE_EXTRA) from error

    seconds = max(1.0, 1.0 / requests_per_second) + _MARGIN
    bucket = InMemoryBucket([Rate(max(1, int(requests_per_second)), int(1000 * seconds))])
    # Without the background thread that empties the bucket, which would never end.
    limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))

    def may_send() -> bool:
        bucket.leak(time.monotonic_ns() // 1_000_000)  # the bucket's own clock
        return bool(limiter.try_acquire(blocking=False))

    return may_send
