from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.build_processes import BuildFolder

# Processes are killed here, disks mounted, and folders locked as POSIX has it.
collect_ignore_glob = ["test_*.py"] if os.name == "nt" else []


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[BuildFolder]:
    made = BuildFolder(tmp_path)
    try:
        yield made
    finally:
        made.close()
