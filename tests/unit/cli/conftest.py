from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from deckwright import cli

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


@attrs.frozen
class Done:
    """A command that has run: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: empty, but for a configuration `bell.toml` and its plugin."""
    (tmp_path / "bell.py").write_text(BELL, encoding="utf-8")
    (tmp_path / "bell.toml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DECKWRIGHT_PLUGINS", raising=False)
    return tmp_path


@pytest.fixture
def run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Done]]:
    """Runs a command in this process, as the installed script does."""
    logger = logging.getLogger("deckwright")
    before = logger.propagate, logger.level, list(logger.handlers)

    def run(*arguments: str | Path) -> Done:
        shown: Sequence[str] = ["deckwright", *map(str, arguments)]
        monkeypatch.setattr("sys.argv", shown)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Done(stop.value.code or 0, out, err)  # type: ignore[arg-type]

    yield run
    logger.propagate, level, logger.handlers[:] = before
    logger.setLevel(level)
