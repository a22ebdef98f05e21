from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Leave the logger as it was, which a command that is run in this process sets to its own needs."""
    logger = logging.getLogger("deckwright")
    before = logger.propagate, logger.level, list(logger.handlers)
    yield
    logger.propagate, level, logger.handlers[:] = before
    logger.setLevel(level)
