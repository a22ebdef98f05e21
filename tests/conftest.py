from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import attrs
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from fake_anki.server import AnkiServer

# Where the helpers of several tests are, such as fake_anki.
sys.path.insert(0, str(Path(__file__).parent))

# Property tests try few examples, the same every time; with `--hypothesis-profile=thorough` many random ones.
settings.register_profile(
    "quick",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("quick"), derandomize=False, max_examples=300, print_blob=True
)
settings.load_profile("quick")


def pytest_configure() -> None:
    """React to an interrupt even in the background of a shell, where it is ignored by default."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run a single file, class or test without workers: these would take longer to start."""
    return 0 if len(config.args) == 1 and ".py" in config.args[0] else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let captured text with half a surrogate pair in it travel between the processes of pytest-xdist."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "replace").decode()) for name, text in report.sections]
    return report


class RealAnki:
    """A new collection of the real Anki in `folder`, to test what it makes of a package.

    `col` is Anki's own object. Needs the package anki.
    """

    def __init__(self, folder: Path) -> None:
        from anki.collection import Collection

        self.col = Collection(str(folder / "collection.anki2"))

    def close(self) -> None:
        self.col.close()

    def import_package(self, path: Path) -> dict[str, int]:
        """Import with the default options; return how many notes were new, updated and so on."""
        from anki.collection import ImportAnkiPackageRequest

        log = self.col.import_anki_package(ImportAnkiPackageRequest(package_path=str(path))).log
        kinds = ("new", "updated", "duplicate", "conflicting", "missing_deck", "missing_notetype")
        return {kind: len(getattr(log, kind)) for kind in kinds if len(getattr(log, kind))}

    def notes(self) -> list[Any]:
        """Return all notes, in the order of the package."""
        return [self.col.get_note(note_id) for note_id in sorted(self.col.find_notes(""))]

    def cards(self) -> dict[str, list[str]]:
        """Return the names of the cards of each note, by the note's first field."""
        return {note.fields[0]: [card.template()["name"] for card in note.cards()] for note in self.notes()}

    def card(self, word: str, name: str) -> Any:
        """Return one card of the note with this first field; `question()` and `answer()` render it."""
        [note] = [note for note in self.notes() if note.fields[0] == word]
        [card] = [card for card in note.cards() if card.template()["name"] == name]
        return card

    def decks(self) -> list[str]:
        """Return the names of all decks except Anki's default deck."""
        return [deck.name for deck in self.col.decks.all_names_and_ids() if deck.name != "Default"]

    def media(self) -> set[str]:
        """Return the names of the media files."""
        return {file.name for file in Path(self.col.media.dir()).iterdir()}

    def media_problems(self) -> list[str]:
        """Return the names of missing files and of unused files."""
        found = self.col.media.check()
        return [*found.missing, *found.unused]


@pytest.fixture
def anki_collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], RealAnki]]:
    """Makes empty collections of the real Anki; closes them at the end."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(RealAnki(tmp_path_factory.mktemp("anki"))))


@pytest.fixture
def clean_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment that names no plugins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DECKWRIGHT_PLUGINS", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for databases and temporary files, in memory if possible: a disk spends most of its time on syncing."""
    tmp_path_factory.getbasetemp()  # The folders of failed tests stay on the disk.
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30 else None
    with (
        tempfile.TemporaryDirectory(prefix="deckwright-", dir=parent, ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture(autouse=True)
def store(fast_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of each test's own, made when something is built."""
    folder = fast_folder / f"store-{uuid4().hex}"
    monkeypatch.setenv("DECKWRIGHT_STORE", str(folder))
    return folder


@pytest.fixture
def anki_server() -> Iterator[AnkiServer]:
    """An imitation of a running Anki with its add-on AnkiConnect, at `base_url`. It answers at once."""
    from fake_anki.server import AnkiServer

    with AnkiServer(tick=0) as server:
        yield server


@attrs.frozen
class CommandResult:
    """What a command returned and wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def run_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., CommandResult]]:
    """Runs a command in this process, as the installed script does."""
    from deckwright import cli

    logger = logging.getLogger("deckwright")
    before = logger.propagate, logger.level, list(logger.handlers)

    def run(*arguments: str | Path) -> CommandResult:
        monkeypatch.setattr("sys.argv", ["deckwright", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return CommandResult(stop.value.code or 0, out, err)  # type: ignore[arg-type]

    yield run
    logger.propagate, level, logger.handlers[:] = before
    logger.setLevel(level)
