from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# A stranger's plugin: a "bell" for every word, and what goes wrong when a word asks for it.
BELL = """
from deckwright import BuildError, MediaProvider, MediaResult, NotFoundError, hookimpl

class Bell(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        if request.content == "silencio":
            raise NotFoundError("A bell cannot be silent.")
        if request.content == "stop":
            raise KeyboardInterrupt
        request.output_path.write_bytes(b"ID3 " + request.content.encode())
        return MediaResult(success=True, file_path=request.output_path)

@hookimpl
def register_media_provider(type, name, config):
    if (type, name) == ("audio", "bell"):
        return Bell(config)
"""
CONFIG = """
[plugins]
paths = ["bell.py"]
[build]
language = "es"
[providers.data.csv]
pipelines = ["*"]
[providers.audio.bell]
pipelines = ["*"]
[providers.sync.apkg]
pipelines = ["*"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: empty, but for a configuration `bell.toml` and its plugin."""
    (tmp_path / "bell.py").write_text(BELL, encoding="utf-8")
    (tmp_path / "bell.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DECKWRIGHT_PLUGINS", raising=False)
    return tmp_path


@pytest.fixture
def run(folder: Path, run_command: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a command in the working directory."""
    return run_command
