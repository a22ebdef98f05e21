"""How far a build is."""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.frozen
class Progress:
    """How far a build is.

    Attributes:
        stage: What is being done: `"workers"` (an engine starts them), `"sounds"` and `"pictures"` (generated at the
            same time), `"deck"`.
        done: How much of it is done.
        total: How much there is.
        cost: What the build has cost so far, in US dollars.
        is_stopping: Whether it was interrupted, and only finishes what is in flight.
    """

    stage: str
    done: int
    total: int
    cost: float = 0.0
    is_stopping: bool = False


ProgressCallback = Callable[[Progress], None]
