"""Builds as processes of their own, in a folder of their own, and servers that count every item."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs

import deckwright
import deckwright_builtins
from deckwright.testing.servers import ForvoServer, LocalServer, OpenAIServer, Received, Reply
from deckwright.testing.servers.forvo import pronunciation
from deckwright.toolkit.media_format import media_ending

# Seconds after which a build that is still running has got stuck.
PATIENCE = 60
_PACKAGES = [str(Path(package.__path__[0]).parent) for package in (deckwright, deckwright_builtins)]


# Servers


class Painters(OpenAIServer):
    """OpenAI, which paints the same again for the same money; the prompt is the word.

    Attributes:
        charges: What was charged, in order: the word and US dollars.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.charges: list[tuple[str, float]] = []

    def respond(self, received: Received) -> Reply:
        before = self.charged
        reply = super().respond(received)
        if self.charged > before:
            self.charges.append((received.json()["prompt"], self.charged - before))
        return reply


class Speakers(ForvoServer):
    """Forvo, with somebody who speaks every word.

    Attributes:
        searches: By word, how often it was looked up.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(pronunciations=_Everything(), **options)
        self.pronunciations = _Everything()

    @property
    def searches(self) -> Counter[str]:
        return Counter(
            unquote(found[1])
            for received in list(self.requests)
            if (found := re.search(r"/word/([^/]+)/", received.path))
        )


class _Everything(dict[str, list[dict[str, Any]]]):
    def get(self, word: str, default: Any = None) -> Any:
        return self[word]

    def __missing__(self, word: str) -> list[dict[str, Any]]:
        self[word] = [pronunciation(word)]
        return self[word]


class PriceServer(LocalServer):
    """Sells pictures at any price, and states it afterwards. The plugin `priced_plugin.py` uses it.

    Attributes:
        price: The price of the next picture: called with how many were sold before.
        charges: What was charged, in order: the word and US dollars.
    """

    def __init__(self, price: Callable[[int], float] = lambda sold: 0.01, **options: Any) -> None:
        super().__init__(**options)
        self.price = price
        self.charges: list[tuple[str, float]] = []

    def respond(self, received: Received) -> Reply:
        word = received.json()["word"]
        cost = self.price(len(self.charges))
        self.charges.append((word, cost))
        return Reply.of_json({"picture": f"GIF89a {word} {len(self.charges)};", "cost": cost})

    @property
    def charged(self) -> float:
        return sum(cost for _, cost in self.charges)


PRICED_PLUGIN = Path(__file__).with_name("priced_plugin.py")


# Builds


@attrs.frozen
class Done:
    """A build that has ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """What it said with `--json`."""
        assert self.out, self.err
        return dict(json.loads(self.out))


@attrs.frozen
class Row:
    """One request of the ledger."""

    id: str
    key: str
    run: str
    provider: str
    state: str
    cost: float
    day: str


class BuildFolder:
    """A folder with word lists, a configuration, a store, and a folder for decks; builds run in it.

    Attributes:
        folder: The folder.
        store: The store.
        decks: The folder for decks.
        temporary: The folder for temporary files, as builds see it.
        config: The configuration.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.decks = folder / "decks"
        self.temporary = folder / "temporary"
        self.config = folder / "deckwright.toml"
        self._environment: dict[str, str] = {}
        self._running: list[subprocess.Popen[str]] = []
        for made in (self.decks, self.temporary):
            made.mkdir(parents=True, exist_ok=True)

    def configure(self, providers: str, *, build: str = "", plugins: Iterable[Path] = ()) -> None:
        """Write the configuration, with providers for data and decks."""
        paths = ", ".join(f'"{path}"' for path in plugins)
        self.config.write_text(
            f'[build]\nlanguage = "es"\nstore = "{self.store}"\n{build}\n'
            f"[plugins]\ninstalled = false\npaths = [{paths}]\n"
            '[providers.data.csv]\npipelines = ["*"]\n[providers.sync.apkg]\npipelines = ["*"]\n' + providers
        )

    def words(self, name: str, words: Iterable[str]) -> Path:
        """Write a word list."""
        file = self.folder / f"{name}.csv"
        file.write_text("\n".join(["word", *words, ""]))
        return file

    def start(
        self, words: Path, *options: str, output: Path | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a build in a process group of its own; the deck is named like the word list."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "DECKWRIGHT_", "COV_"))
        }
        python_path = os.pathsep.join([*filter(None, [environment.pop("PYTHONPATH", "")]), *_PACKAGES])
        process = subprocess.Popen(
            [
                sys.executable, "-m", "deckwright", "build", words, "-c", self.config, "--json",
                "-o", output or self.deck(words), *options,
            ],
            cwd=self.folder,
            env={**kept, "TMPDIR": str(self.temporary), "PYTHONPATH": python_path, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )  # fmt: skip
        self._running.append(process)
        return process

    def build(self, words: Path, *options: str, **more: Any) -> Done:
        """Build, and wait for the end."""
        return ended(self.start(words, *options, **more))

    def deck(self, words: Path) -> Path:
        """Return the deck of a word list."""
        return self.decks / f"{words.stem}.apkg"

    def close(self) -> None:
        """End what is still running."""
        for process in self._running:
            if process.poll() is None:
                kill(process)
            process.wait()
            for stream in (process.stdout, process.stderr):
                stream.close()  # type: ignore[union-attr]

    # What is there

    def rows(self) -> list[Row]:
        """Return all requests in the ledger."""
        return [
            Row(*row) for row in self.query("SELECT id, key, run, provider, state, cost, day FROM requests")
        ]

    def query(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.store / "ledger.sqlite", timeout=30)) as database:
            return database.execute(query).fetchall()

    def require_consistent(self) -> None:
        """Make sure that no build has left anything unfinished behind, and that files and ledger agree."""
        assert list((self.store / "runs").iterdir()) == []
        assert self.query("SELECT * FROM runs") == []
        assert list(self.temporary.iterdir()) == []
        assert [path for path in self.decks.iterdir() if path.suffix != ".apkg"] == []
        assert [path for path in self.store.rglob("*") if path.name.endswith((".part", ".tmp"))] == []
        kept = {name for (name,) in self.query("SELECT name FROM media")}
        stored = {path.name for path in self.store.rglob("deckwright-*")}
        assert stored == kept, "files and ledger do not agree"
        assert all(row.state != "asked" for row in self.rows())
        by_provider = Counter[str]()
        for row in self.rows():
            by_provider[row.provider] += row.cost  # type: ignore[assignment]
        for provider, settled, reserved in self.query(
            "SELECT provider, sum(settled), sum(reserved) FROM spending GROUP BY provider"
        ):
            assert abs(settled - by_provider[provider]) < 1e-6
            assert abs(reserved) < 1e-6


def ended(process: subprocess.Popen[str], patience: float = PATIENCE) -> Done:
    """Wait for a build to end, but not for ever. It must not print a traceback."""
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        kill(process)
        out, err = process.communicate()
        raise AssertionError(f"The build got stuck.\n{out}\n{err}") from None
    assert "Traceback" not in err, err
    return Done(process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> None:
    """End a build and all of its processes, without a chance to react."""
    os.killpg(process.pid, signal.SIGKILL)


def wait_until(happened: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.005)


# Decks


def notes_of(deck: Path) -> dict[str, dict[str, bytes]]:
    """Return the media of every note of a deck, by word and name; all of them are there, and whole."""
    with zipfile.ZipFile(deck) as package:
        assert package.testzip() is None
        names = {name: number for number, name in json.loads(package.read("media")).items()}
        media = {name: package.read(number) for name, number in names.items()}
        folder = deck.parent / f"{deck.stem}-opened"
        folder.mkdir()
        try:
            package.extract("collection.anki2", folder)
            with closing(sqlite3.connect(folder / "collection.anki2")) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                notes = [fields.split("\x1f") for (fields,) in database.execute("SELECT flds FROM notes")]
            for name, content in media.items():
                assert name.startswith(f"deckwright-{sha256(content).hexdigest()[:20]}.")
                file = folder / name
                file.write_bytes(content)
                assert media_ending(file, "audio" if file.suffix == ".mp3" else "image") == file.suffix
        finally:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
    found = {}
    for first, *rest in notes:
        referred = [
            one or other for one, other in re.findall(r'\[sound:([^]]+)\]|src="([^"]+)"', " ".join(rest))
        ]
        found[first] = {name: media[name] for name in referred}
    assert {name for its in found.values() for name in its} == set(media)
    return found


def require_whole(deck: Path, words: Iterable[str], *, sounds: bool = True, pictures: bool = True) -> None:
    """Make sure that a deck has all of its words, and each its sound and picture."""
    notes = notes_of(deck)
    assert set(notes) == set(words)
    for word, media in notes.items():
        kinds = sorted(Path(name).suffix == ".mp3" for name in media)
        assert kinds == [False] * pictures + [True] * sounds, f"{word}: {list(media)}"
