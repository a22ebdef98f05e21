"""Builds on a full disk, in a folder that cannot be written, with a wrong clock, beside each other, interrupted."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from faults.build_processes import (
    PRICED_PLUGIN,
    BuildFolder,
    Done,
    PriceServer,
    ended,
    kill,
    require_whole,
    wait_until,
)

from deckwright.testing.servers import RunwareServer, Slow

AT_ONCE = 8
WORDS = [f"palabra {number}" for number in range(40)]
CLOCK = str(Path(__file__).with_name("clock"))
DAY = 24 * 3600.0

PRICED = f"""
[providers.image.priced]
pipelines = ["*"]
base_url = "{{server.base_url}}"
price = 0.01
max_concurrent = {AT_ONCE}
timeout = 10
"""
PAINT = f"""
[providers.image.runware]
pipelines = ["*"]
api_key = "runware-key"
base_url = "{{runware.base_url}}"
prompt = "{{{{word}}}}"
output_format = "WEBP"
max_concurrent = {AT_ONCE}
timeout = 2
"""


@pytest.fixture
def server(folder: BuildFolder) -> Iterator[PriceServer]:
    """A server that sells pictures to the builds of the folder."""
    with PriceServer(latency=0.02) as server:
        folder.configure(PRICED.format(server=server), plugins=[PRICED_PLUGIN])
        yield server


@pytest.fixture
def runware(folder: BuildFolder) -> Iterator[RunwareServer]:
    """Runware, which makes the pictures of the folder's builds."""
    with RunwareServer(latency=0.02) as runware:
        folder.configure(PAINT.format(runware=runware))
        yield runware


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mounts something until the end of the test; takes the arguments of mount."""
    with ExitStack() as stack:

        def mounted(*arguments: str, at: Path) -> None:
            if sys.platform != "linux" or os.geteuid() != 0:
                pytest.skip("only root can mount")
            at.mkdir(exist_ok=True)
            done = subprocess.run(["mount", *arguments, at], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
            stack.callback(subprocess.run, ["umount", "--lazy", at], check=True)

        yield mounted


@pytest.fixture
def small_disk(mount: Callable[..., None]) -> Callable[[Path], None]:
    """Makes a folder a disk of its own, of 48 MB."""
    return lambda folder: mount("-t", "tmpfs", "-o", "size=48m", "none", at=folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make sure that nothing in a folder can be changed. To root, a mode says nothing."""
    if os.geteuid():
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(0o700)
        return
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here, and to root nothing is read-only")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, free: int = 0) -> Path:
    """Fill a disk up, but for some bytes; return the file that does it."""
    filler = disk / "filler"
    with filler.open("wb") as file, pytest.MonkeyPatch.context():
        try:
            while (left := shutil.disk_usage(disk).free - free) > 0:
                file.write(bytes(min(left, 1 << 20)))
                file.flush()
        except OSError:
            pass
    return filler


def require_error(done: Done, *words: str) -> None:
    """Make sure that a build said what is wrong, and how to fix it."""
    assert done.code == 1, done
    assert done.err.startswith("Error: "), done.err
    _, *hints = done.err.strip().splitlines()
    assert hints, f"no hint: {done.err}"
    for word in words:
        assert word in done.err, done.err


def sold(server: PriceServer) -> Counter[str]:
    return Counter(word for word, _ in server.charges)


def require_once(server: PriceServer, words: list[str] = WORDS) -> None:
    assert sold(server) == Counter(words)


# Disks


def test_a_full_disk_costs_nothing(
    folder: BuildFolder, server: PriceServer, small_disk: Callable[[Path], None]
) -> None:
    small_disk(folder.store)
    filler = fill(folder.store, free=20_000_000)
    words = folder.words("deck", WORDS)
    require_error(folder.build(words), "no space left", "Make room")
    assert server.charges == []
    filler.unlink()
    assert folder.build(words).code == 0
    require_once(server)
    require_whole(folder.deck(words), WORDS, sounds=False)


def test_a_disk_that_fills_up_in_the_middle_loses_what_is_in_flight_at_most(
    folder: BuildFolder, server: PriceServer, small_disk: Callable[[Path], None]
) -> None:
    small_disk(folder.store)
    fillers: list[Path] = []

    def price(count: int) -> float:
        if count == 20 and not fillers:
            fillers.append(fill(folder.store))
        return 0.01

    server.price = price
    words = folder.words("deck", WORDS)
    require_error(folder.build(words), "Make room")
    before = len(server.charges)
    assert before <= 20 + AT_ONCE
    fillers[0].unlink()
    assert folder.build(words).code == 0
    again = sum(sold(server).values()) - len(WORDS)
    assert set(sold(server)) == set(WORDS)
    assert again <= AT_ONCE
    folder.require_consistent()
    assert sum(row.cost for row in folder.rows()) >= server.charged - 1e-6
    print(f"\n{again} of {before} paid again")


def test_a_disk_that_fills_up_in_the_middle_loses_nothing_where_tasks_can_be_asked_about(
    folder: BuildFolder, runware: RunwareServer, small_disk: Callable[[Path], None]
) -> None:
    small_disk(folder.store)
    words = folder.words("deck", WORDS)
    building = folder.start(words)
    wait_until(lambda: len(runware.charged) >= 15)
    filler = fill(folder.store)
    require_error(ended(building), "Make room")
    assert len(runware.charged) < len(WORDS)
    filler.unlink()
    assert folder.build(words).code == 0
    assert list(runware.charged.values()) == [1] * len(WORDS)
    folder.require_consistent()


def test_a_deck_that_finds_no_room_leaves_the_old_one_and_costs_nothing_more(
    folder: BuildFolder, server: PriceServer, small_disk: Callable[[Path], None]
) -> None:
    small_disk(folder.decks)
    words = folder.words("deck", WORDS[:10])
    assert folder.build(words).code == 0
    old = folder.deck(words).read_bytes()
    folder.words("deck", WORDS)
    filler = fill(folder.decks)
    require_error(folder.build(words), "deck.apkg", "full", "saved in")
    require_once(server)
    assert folder.deck(words).read_bytes() == old
    assert sorted(path.name for path in folder.decks.iterdir()) == ["deck.apkg", "filler"]
    filler.unlink()
    assert folder.build(words).code == 0
    require_once(server)
    require_whole(folder.deck(words), WORDS, sounds=False)


def test_store_deck_and_temporary_files_may_be_on_different_disks(
    folder: BuildFolder, server: PriceServer, small_disk: Callable[[Path], None]
) -> None:
    for path in (folder.store, folder.decks, folder.temporary):
        small_disk(path)
    words = folder.words("deck", WORDS)
    assert folder.build(words).code == 0
    require_whole(folder.deck(words), WORDS, sounds=False)
    folder.require_consistent()


def test_a_store_that_cannot_be_written_costs_nothing(folder: BuildFolder, server: PriceServer) -> None:
    words = folder.words("deck", WORDS[:10])
    assert folder.build(words).code == 0
    folder.words("deck", WORDS)
    with read_only(folder.store):
        require_error(folder.build(words), str(folder.store), "DECKWRIGHT_STORE")
    require_once(server, WORDS[:10])
    assert folder.build(words).code == 0
    require_once(server)


def test_a_folder_for_decks_that_cannot_be_written_costs_nothing(
    folder: BuildFolder, server: PriceServer
) -> None:
    words = folder.words("deck", WORDS)
    with read_only(folder.decks):
        done = folder.build(words)
    assert done.code == 1
    assert str(folder.deck(words)) in done.err
    assert server.charges == []


# Clocks


@pytest.mark.parametrize("days", [-365, -1])
def test_a_clock_that_is_put_back_grants_no_budget_again_and_pays_for_nothing_twice(
    folder: BuildFolder, server: PriceServer, days: int
) -> None:
    folder.configure(PRICED.format(server=server), build="daily_budget = 0.20", plugins=[PRICED_PLUGIN])
    words = folder.words("deck", WORDS)
    assert folder.build(words).report["pictures"] == 20
    done = folder.build(words, PYTHONPATH=CLOCK, CLOCK_SHIFT=str(days * DAY))
    assert (done.code, done.report["pictures"], done.report["kept"]["pictures"]) == (3, 20, 20)
    assert "daily budget" in done.report["missing"][0]["reasons"]["priced"]
    assert len(server.charges) == 20
    require_whole_so_far(folder, words, server)


def test_a_clock_that_is_put_forward_pays_for_nothing_twice(folder: BuildFolder, server: PriceServer) -> None:
    folder.configure(PRICED.format(server=server), build="daily_budget = 0.15", plugins=[PRICED_PLUGIN])
    words = folder.words("deck", WORDS)
    shifts = (0, 40, 0, 40, 41)
    got = [
        folder.build(words, PYTHONPATH=CLOCK, CLOCK_SHIFT=str(days * DAY)).report["pictures"]
        for days in shifts
    ]
    # A new day has money of its own; but to come back from it is not a new day.
    assert got == [15, 30, 30, 30, 40]
    require_once(server)
    require_whole_so_far(folder, words, server)


def require_whole_so_far(folder: BuildFolder, words: Path, server: PriceServer) -> None:
    folder.require_consistent()
    assert max(sold(server).values()) == 1
    days = {row.day for row in folder.rows()}
    assert days


@pytest.mark.parametrize("days", [-365, -1, 40])
def test_a_task_in_flight_at_a_kill_is_paid_once_at_any_clock(
    folder: BuildFolder, runware: RunwareServer, days: int
) -> None:
    words = folder.words("deck", WORDS)
    building = folder.start(words)
    wait_until(lambda: len(runware.charged) >= 10)
    kill(building)
    building.communicate()
    wait_until(lambda: runware.max_at_once and _is_quiet(runware))
    done = folder.build(words, PYTHONPATH=CLOCK, CLOCK_SHIFT=str(days * DAY))
    assert (done.code, done.report["pictures"]) == (0, len(WORDS))
    assert list(runware.charged.values()) == [1] * len(WORDS)
    folder.require_consistent()


def _is_quiet(server: RunwareServer | PriceServer) -> bool:
    """Say whether nothing is in flight to a server."""
    seen = len(server.requests)
    threading.Event().wait(0.1)
    return len(server.requests) == seen


# Several at once


@pytest.mark.parametrize("outputs", [("one", "two"), ("one", "one")], ids=["two files", "one file"])
def test_two_builds_of_one_deck_pay_for_each_picture_once(
    folder: BuildFolder, server: PriceServer, outputs: tuple[str, str]
) -> None:
    words = folder.words("deck", WORDS)
    # From the other end as well, so that each waits for what the other has begun.
    reversed_words = folder.words("reversed", WORDS[::-1])
    files = [folder.decks / f"{output}.apkg" for output in outputs]
    both = [
        folder.start(each, "--deck", "Deck", output=file)
        for each, file in zip((words, reversed_words), files, strict=True)
    ]
    for process in both:
        done = ended(process)
        assert (done.code, done.report["pictures"]) == (0, len(WORDS)), done
    require_once(server)
    for file in files:
        require_whole(file, WORDS, sounds=False)
    folder.require_consistent()


def test_builds_of_different_decks_pay_for_what_they_share_once(
    folder: BuildFolder, server: PriceServer
) -> None:
    lists = {
        f"deck {number}": [*WORDS[:20], *(f"{number} {word}" for word in WORDS[:5])] for number in range(4)
    }
    running = {name: folder.start(folder.words(name, words)) for name, words in lists.items()}
    for name, process in running.items():
        assert ended(process).code == 0
        require_whole(folder.decks / f"{name}.apkg", lists[name], sounds=False)
    require_once(server, [*WORDS[:20], *(word for words in lists.values() for word in words[20:])])
    folder.require_consistent()


def test_a_build_that_waits_for_one_that_is_killed_goes_on(folder: BuildFolder, server: PriceServer) -> None:
    words = folder.words("deck", WORDS[:4])
    # Its first requests are carried out, and take longer than it lives.
    server.fail(Slow(30), times=4)
    first = folder.start(words)
    wait_until(lambda: len(server.requests) == 4)
    second = folder.start(words, "--deck", "Deck", output=folder.decks / "second.apkg")
    wait_until(lambda: len(folder.query("SELECT * FROM runs")) == 2)
    assert len(server.requests) == 4
    kill(first)
    first.communicate()
    done = ended(second)
    assert (done.code, done.report["pictures"]) == (0, 4)
    assert Counter(row.state for row in folder.rows()) == {"lost": 4, "answered": 4}
    require_whole(folder.decks / "second.apkg", WORDS[:4], sounds=False)
    folder.require_consistent()


def test_a_build_that_waits_for_one_that_is_killed_takes_over_its_tasks(
    folder: BuildFolder, runware: RunwareServer
) -> None:
    words = folder.words("deck", WORDS[:4])
    # Charged at once, and never answered.
    runware.fail(Charged(Slow(30)), times=4, when=lambda received: received.method == "POST")
    first = folder.start(words)
    wait_until(lambda: len(runware.charged) == 4)
    second = folder.start(words, "--deck", "Deck", output=folder.decks / "second.apkg")
    wait_until(lambda: len(folder.query("SELECT * FROM runs")) == 2)
    kill(first)
    first.communicate()
    done = ended(second)
    assert (done.code, done.report["pictures"]) == (0, 4), done
    assert list(runware.charged.values()) == [1] * 4
    folder.require_consistent()


class Charged:
    """The request is carried out at once, and then meets another fault."""

    def __init__(self, then: Slow) -> None:
        self.then = then

    def apply(self, exchange: object) -> None:
        exchange.answer()  # type: ignore[attr-defined]
        self.then.apply(exchange)  # type: ignore[arg-type]


# Stores that somebody has been at


def test_a_ledger_that_is_none_is_left_alone(folder: BuildFolder, server: PriceServer) -> None:
    folder.store.mkdir()
    ledger = folder.store / "ledger.sqlite"
    ledger.write_bytes(b"no database, and of no use\n" * 100)
    require_error(folder.build(folder.words("deck", WORDS)), "not a database", str(folder.store))
    assert server.charges == []
    assert ledger.read_bytes() == b"no database, and of no use\n" * 100


def test_a_ledger_that_is_cut_off_is_reported(folder: BuildFolder, server: PriceServer) -> None:
    words = folder.words("deck", WORDS)
    assert folder.build(words).code == 0
    ledger = folder.store / "ledger.sqlite"
    content = ledger.read_bytes()
    ledger.write_bytes(content[: len(content) // 2])
    require_error(folder.build(words), str(folder.store))
    require_once(server)


def test_a_ledger_of_a_later_version_is_left_alone(folder: BuildFolder, server: PriceServer) -> None:
    words = folder.words("deck", WORDS)
    assert folder.build(words).code == 0
    with closing(sqlite3.connect(folder.store / "ledger.sqlite")) as ledger:
        ledger.execute("PRAGMA user_version = 99")
    require_error(folder.build(words), "version 99", str(folder.store))
    require_once(server)


def test_without_its_ledger_a_store_begins_again(folder: BuildFolder, server: PriceServer) -> None:
    words = folder.words("deck", WORDS)
    assert folder.build(words).code == 0
    for file in folder.store.glob("ledger.sqlite*"):
        file.unlink()
    done = folder.build(words)
    assert (done.code, done.report["pictures"]) == (0, len(WORDS))
    # Which file is whose stood in the ledger.
    assert set(sold(server).values()) == {2}
    require_whole(folder.deck(words), WORDS, sounds=False)


def test_of_media_that_were_deleted_only_those_are_paid_for_again(
    folder: BuildFolder, server: PriceServer
) -> None:
    words = folder.words("deck", WORDS)
    assert folder.build(words).code == 0
    gone = sorted((folder.store / "media").rglob("deckwright-*"))[:7]
    for file in gone:
        file.unlink()
    done = folder.build(words)
    assert (done.code, done.report["pictures"], done.report["kept"]["pictures"]) == (
        0,
        len(WORDS),
        len(WORDS) - 7,
    )
    assert len(server.charges) == len(WORDS) + 7
    require_whole(folder.deck(words), WORDS, sounds=False)
    folder.require_consistent()


def test_a_store_that_is_deleted_under_a_build_is_reported(folder: BuildFolder, server: PriceServer) -> None:
    words = folder.words("deck", WORDS)
    building = folder.start(words)
    wait_until(lambda: len(server.charges) >= 10)
    shutil.rmtree(folder.store, ignore_errors=True)
    shutil.rmtree(folder.store, ignore_errors=True)
    done = ended(building)
    assert done.code in (1, 3), done
    if done.code == 1:
        require_error(done, str(folder.store))
    assert folder.build(words).code == 0
    require_whole(folder.deck(words), WORDS, sounds=False)


# Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_what_is_in_flight_and_the_next_build_goes_on(
    folder: BuildFolder, server: PriceServer, number: signal.Signals
) -> None:
    words = folder.words("deck", WORDS)
    building = folder.start(words)
    wait_until(lambda: len(server.charges) >= 10)
    building.send_signal(number)
    done = ended(building)
    assert done.code == 130, done
    assert "Run the same command again" in done.err
    assert len(server.charges) < len(WORDS)
    kept = folder.query("SELECT count(*) FROM media")[0][0]
    assert kept == len(server.charges)
    folder.require_consistent()
    assert not folder.deck(words).exists()
    done = folder.build(words)
    assert (done.code, done.report["kept"]["pictures"]) == (0, kept)
    require_once(server)


def test_a_second_interrupt_stops_at_once_and_the_next_build_pays_again_for_what_was_in_flight_at_most(
    folder: BuildFolder, server: PriceServer
) -> None:
    words = folder.words("deck", WORDS)
    server.fail(Slow(20), times=None, when=lambda received: len(server.charges) >= 10)
    building = folder.start(words)
    wait_until(lambda: len(server.requests) > len(server.charges) + AT_ONCE / 2 and len(server.charges) >= 10)
    wait_until(lambda: _is_quiet(server))
    building.send_signal(signal.SIGINT)
    assert building.stderr is not None
    # Before it, a slow build says how far it is.
    assert any("Stopping" in line for line in building.stderr)
    building.send_signal(signal.SIGINT)
    done = ended(building, patience=10)
    assert done.code == 130, done
    folder.require_consistent()
    server.clear_faults()
    assert folder.build(words).code == 0
    assert len(server.charges) <= len(WORDS) + AT_ONCE
    assert sum(row.cost for row in folder.rows()) >= server.charged - 1e-6


def test_an_interrupt_at_any_moment_ends_in_words(folder: BuildFolder, server: PriceServer) -> None:
    chance = random.Random(1)
    words = folder.words("deck", WORDS)
    codes = Counter[int]()
    for _ in range(20):
        building = folder.start(words)
        try:
            building.wait(chance.uniform(0.3, 1.0))
        except subprocess.TimeoutExpired:
            building.send_signal(signal.SIGINT)
        done = ended(building)
        codes[done.code] += 1
        assert done.code in (0, 130, -signal.SIGINT), done
    # Before Python listens, and when it has ended all but itself, the signal does what it does to any process.
    assert set(codes) <= {0, 130, -signal.SIGINT}, codes
    assert folder.build(words).code == 0
    require_once(server)
    folder.require_consistent()
