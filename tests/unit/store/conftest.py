from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deckwright.store import Store


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the test's store, each time with a connection of its own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Store(tmp_path / "store"))


@pytest.fixture
def opened(open_store: Callable[[], Store]) -> Store:
    """The test's store."""
    return open_store()
