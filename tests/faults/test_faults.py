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
from faults.workplace import SELLER, Done, Till, Workplace, ended, kill, require_whole, wait_until

from deckwright.testing.servers import RunwareServer, Slow

AT_ONCE = 8
WORDS = [f"palabra {number}" for number in range(40)]
CLOCK = str(Path(__file__).with_name("clock"))
DAY = 24 * 3600.0

SELL = f"""
[providers.image.seller]
pipelines = ["*"]
base_url = "{{till.base_url}}"
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
def till(workplace: Workplace) -> Iterator[Till]:
    """A till that the workplace buys pictures from."""
    with Till(latency=0.02) as till:
        workplace.configure(SELL.format(till=till), plugins=[SELLER])
        yield till


@pytest.fixture
def runware(workplace: Workplace) -> Iterator[RunwareServer]:
    """Runware, which the workplace has its pictures from."""
    with RunwareServer(latency=0.02) as runware:
        workplace.configure(PAINT.format(runware=runware))
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
    """Make sure that a build said what is wrong, and how to mend it."""
    assert done.code == 1, done
    assert done.err.startswith("Error: "), done.err
    _, *hints = done.err.strip().splitlines()
    assert hints, f"no mend: {done.err}"
    for word in words:
        assert word in done.err, done.err


def sold(till: Till) -> Counter[str]:
    return Counter(word for word, _ in till.charges)


def require_once(till: Till, words: list[str] = WORDS) -> None:
    assert sold(till) == Counter(words)


# Disks


def test_a_full_disk_costs_nothing(
    workplace: Workplace, till: Till, small_disk: Callable[[Path], None]
) -> None:
    small_disk(workplace.store)
    filler = fill(workplace.store, free=20_000_000)
    words = workplace.words("deck", WORDS)
    require_error(workplace.build(words), "no space left", "Make room")
    assert till.charges == []
    filler.unlink()
    assert workplace.build(words).code == 0
    require_once(till)
    require_whole(workplace.deck(words), WORDS, sounds=False)


def test_a_disk_that_fills_up_in_the_middle_loses_what_is_in_flight_at_most(
    workplace: Workplace, till: Till, small_disk: Callable[[Path], None]
) -> None:
    small_disk(workplace.store)
    fillers: list[Path] = []

    def price(count: int) -> float:
        if count == 20 and not fillers:
            fillers.append(fill(workplace.store))
        return 0.01

    till.price = price
    words = workplace.words("deck", WORDS)
    require_error(workplace.build(words), "Make room")
    before = len(till.charges)
    assert before <= 20 + AT_ONCE
    fillers[0].unlink()
    assert workplace.build(words).code == 0
    again = sum(sold(till).values()) - len(WORDS)
    assert set(sold(till)) == set(WORDS)
    assert again <= AT_ONCE
    workplace.require_order()
    assert sum(row.cost for row in workplace.rows()) >= till.charged - 1e-6
    print(f"\n{again} of {before} paid again")


def test_a_disk_that_fills_up_in_the_middle_loses_nothing_where_tasks_can_be_asked_about(
    workplace: Workplace, runware: RunwareServer, small_disk: Callable[[Path], None]
) -> None:
    small_disk(workplace.store)
    words = workplace.words("deck", WORDS)
    building = workplace.start(words)
    wait_until(lambda: len(runware.charged) >= 15)
    filler = fill(workplace.store)
    require_error(ended(building), "Make room")
    assert len(runware.charged) < len(WORDS)
    filler.unlink()
    assert workplace.build(words).code == 0
    assert list(runware.charged.values()) == [1] * len(WORDS)
    workplace.require_order()


def test_a_deck_that_finds_no_room_leaves_the_old_one_and_costs_nothing_more(
    workplace: Workplace, till: Till, small_disk: Callable[[Path], None]
) -> None:
    small_disk(workplace.decks)
    words = workplace.words("deck", WORDS[:10])
    assert workplace.build(words).code == 0
    old = workplace.deck(words).read_bytes()
    workplace.words("deck", WORDS)
    filler = fill(workplace.decks)
    require_error(workplace.build(words), "deck.apkg", "full", "saved in")
    require_once(till)
    assert workplace.deck(words).read_bytes() == old
    assert sorted(path.name for path in workplace.decks.iterdir()) == ["deck.apkg", "filler"]
    filler.unlink()
    assert workplace.build(words).code == 0
    require_once(till)
    require_whole(workplace.deck(words), WORDS, sounds=False)


def test_store_deck_and_temporary_files_may_be_on_different_disks(
    workplace: Workplace, till: Till, small_disk: Callable[[Path], None]
) -> None:
    for folder in (workplace.store, workplace.decks, workplace.temporary):
        small_disk(folder)
    words = workplace.words("deck", WORDS)
    assert workplace.build(words).code == 0
    require_whole(workplace.deck(words), WORDS, sounds=False)
    workplace.require_order()


def test_a_store_that_cannot_be_written_costs_nothing(workplace: Workplace, till: Till) -> None:
    words = workplace.words("deck", WORDS[:10])
    assert workplace.build(words).code == 0
    workplace.words("deck", WORDS)
    with read_only(workplace.store):
        require_error(workplace.build(words), str(workplace.store), "DECKWRIGHT_STORE")
    require_once(till, WORDS[:10])
    assert workplace.build(words).code == 0
    require_once(till)


def test_a_folder_for_decks_that_cannot_be_written_costs_nothing(workplace: Workplace, till: Till) -> None:
    words = workplace.words("deck", WORDS)
    with read_only(workplace.decks):
        done = workplace.build(words)
    assert done.code == 1
    assert str(workplace.deck(words)) in done.err
    assert till.charges == []


# Clocks


@pytest.mark.parametrize("days", [-365, -1])
def test_a_clock_that_is_put_back_grants_no_budget_anew_and_pays_for_nothing_twice(
    workplace: Workplace, till: Till, days: int
) -> None:
    workplace.configure(SELL.format(till=till), build="daily_budget = 0.20", plugins=[SELLER])
    words = workplace.words("deck", WORDS)
    assert workplace.build(words).report["pictures"] == 20
    done = workplace.build(words, PYTHONPATH=CLOCK, CLOCK_SHIFT=str(days * DAY))
    assert (done.code, done.report["pictures"], done.report["kept"]["pictures"]) == (3, 20, 20)
    assert "daily budget" in done.report["missing"][0]["reasons"]["seller"]
    assert len(till.charges) == 20
    require_whole_so_far(workplace, words, till)


def test_a_clock_that_is_put_forward_pays_for_nothing_twice(workplace: Workplace, till: Till) -> None:
    workplace.configure(SELL.format(till=till), build="daily_budget = 0.15", plugins=[SELLER])
    words = workplace.words("deck", WORDS)
    shifts = (0, 40, 0, 40, 41)
    got = [
        workplace.build(words, PYTHONPATH=CLOCK, CLOCK_SHIFT=str(days * DAY)).report["pictures"]
        for days in shifts
    ]
    # A new day has money of its own; but to come back from it is not a new day.
    assert got == [15, 30, 30, 30, 40]
    require_once(till)
    require_whole_so_far(workplace, words, till)


def require_whole_so_far(workplace: Workplace, words: Path, till: Till) -> None:
    workplace.require_order()
    assert max(sold(till).values()) == 1
    days = {row.day for row in workplace.rows()}
    assert days


@pytest.mark.parametrize("days", [-365, -1, 40])
def test_a_task_in_flight_at_a_kill_is_paid_once_whatever_the_clock_says(
    workplace: Workplace, runware: RunwareServer, days: int
) -> None:
    words = workplace.words("deck", WORDS)
    building = workplace.start(words)
    wait_until(lambda: len(runware.charged) >= 10)
    kill(building)
    building.communicate()
    wait_until(lambda: runware.most_at_once and _is_quiet(runware))
    done = workplace.build(words, PYTHONPATH=CLOCK, CLOCK_SHIFT=str(days * DAY))
    assert (done.code, done.report["pictures"]) == (0, len(WORDS))
    assert list(runware.charged.values()) == [1] * len(WORDS)
    workplace.require_order()


def _is_quiet(server: RunwareServer | Till) -> bool:
    """Say whether nothing is in flight to a server."""
    seen = len(server.requests)
    threading.Event().wait(0.1)
    return len(server.requests) == seen


# Several at once


@pytest.mark.parametrize("outputs", [("one", "two"), ("one", "one")], ids=["two files", "one file"])
def test_two_builds_of_one_deck_pay_for_each_picture_once(
    workplace: Workplace, till: Till, outputs: tuple[str, str]
) -> None:
    words = workplace.words("deck", WORDS)
    # From the other end as well, so that each waits for what the other has begun.
    reversed_words = workplace.words("reversed", WORDS[::-1])
    files = [workplace.decks / f"{output}.apkg" for output in outputs]
    both = [
        workplace.start(each, "--deck", "Deck", output=file)
        for each, file in zip((words, reversed_words), files, strict=True)
    ]
    for process in both:
        done = ended(process)
        assert (done.code, done.report["pictures"]) == (0, len(WORDS)), done
    require_once(till)
    for file in files:
        require_whole(file, WORDS, sounds=False)
    workplace.require_order()


def test_builds_of_different_decks_pay_for_what_they_share_once(workplace: Workplace, till: Till) -> None:
    lists = {
        f"deck {number}": [*WORDS[:20], *(f"{number} {word}" for word in WORDS[:5])] for number in range(4)
    }
    running = {name: workplace.start(workplace.words(name, words)) for name, words in lists.items()}
    for name, process in running.items():
        assert ended(process).code == 0
        require_whole(workplace.decks / f"{name}.apkg", lists[name], sounds=False)
    require_once(till, [*WORDS[:20], *(word for words in lists.values() for word in words[20:])])
    workplace.require_order()


def test_a_build_that_waits_for_one_that_is_killed_goes_on(workplace: Workplace, till: Till) -> None:
    words = workplace.words("deck", WORDS[:4])
    # Its first requests are carried out, and take longer than it lives.
    till.fail(Slow(30), times=4)
    first = workplace.start(words)
    wait_until(lambda: len(till.requests) == 4)
    second = workplace.start(words, "--deck", "Deck", output=workplace.decks / "second.apkg")
    wait_until(lambda: len(workplace.query("SELECT * FROM runs")) == 2)
    assert len(till.requests) == 4
    kill(first)
    first.communicate()
    done = ended(second)
    assert (done.code, done.report["pictures"]) == (0, 4)
    assert Counter(row.state for row in workplace.rows()) == {"lost": 4, "answered": 4}
    require_whole(workplace.decks / "second.apkg", WORDS[:4], sounds=False)
    workplace.require_order()


def test_a_build_that_waits_for_one_that_is_killed_takes_over_its_tasks(
    workplace: Workplace, runware: RunwareServer
) -> None:
    words = workplace.words("deck", WORDS[:4])
    # Charged at once, and told never.
    runware.fail(Charged(Slow(30)), times=4, when=lambda received: received.method == "POST")
    first = workplace.start(words)
    wait_until(lambda: len(runware.charged) == 4)
    second = workplace.start(words, "--deck", "Deck", output=workplace.decks / "second.apkg")
    wait_until(lambda: len(workplace.query("SELECT * FROM runs")) == 2)
    kill(first)
    first.communicate()
    done = ended(second)
    assert (done.code, done.report["pictures"]) == (0, 4), done
    assert list(runware.charged.values()) == [1] * 4
    workplace.require_order()


class Charged:
    """The request is carried out at once, and then meets another fault."""

    def __init__(self, then: Slow) -> None:
        self.then = then

    def meet(self, exchange: object) -> None:
        exchange.answer()  # type: ignore[attr-defined]
        self.then.meet(exchange)  # type: ignore[arg-type]


# Stores that somebody has been at


def test_a_ledger_that_is_none_is_left_alone(workplace: Workplace, till: Till) -> None:
    workplace.store.mkdir()
    ledger = workplace.store / "ledger.sqlite"
    ledger.write_bytes(b"no database, and of no use\n" * 100)
    require_error(workplace.build(workplace.words("deck", WORDS)), "not a database", str(workplace.store))
    assert till.charges == []
    assert ledger.read_bytes() == b"no database, and of no use\n" * 100


def test_a_ledger_that_is_cut_off_is_told(workplace: Workplace, till: Till) -> None:
    words = workplace.words("deck", WORDS)
    assert workplace.build(words).code == 0
    ledger = workplace.store / "ledger.sqlite"
    content = ledger.read_bytes()
    ledger.write_bytes(content[: len(content) // 2])
    require_error(workplace.build(words), str(workplace.store))
    require_once(till)


def test_a_ledger_of_a_later_version_is_left_alone(workplace: Workplace, till: Till) -> None:
    words = workplace.words("deck", WORDS)
    assert workplace.build(words).code == 0
    with closing(sqlite3.connect(workplace.store / "ledger.sqlite")) as ledger:
        ledger.execute("PRAGMA user_version = 99")
    require_error(workplace.build(words), "version 99", str(workplace.store))
    require_once(till)


def test_without_its_ledger_a_store_begins_anew(workplace: Workplace, till: Till) -> None:
    words = workplace.words("deck", WORDS)
    assert workplace.build(words).code == 0
    for file in workplace.store.glob("ledger.sqlite*"):
        file.unlink()
    done = workplace.build(words)
    assert (done.code, done.report["pictures"]) == (0, len(WORDS))
    # Which file is whose stood in the ledger.
    assert set(sold(till).values()) == {2}
    require_whole(workplace.deck(words), WORDS, sounds=False)


def test_of_media_that_were_deleted_only_those_are_paid_for_again(workplace: Workplace, till: Till) -> None:
    words = workplace.words("deck", WORDS)
    assert workplace.build(words).code == 0
    gone = sorted((workplace.store / "media").rglob("deckwright-*"))[:7]
    for file in gone:
        file.unlink()
    done = workplace.build(words)
    assert (done.code, done.report["pictures"], done.report["kept"]["pictures"]) == (
        0,
        len(WORDS),
        len(WORDS) - 7,
    )
    assert len(till.charges) == len(WORDS) + 7
    require_whole(workplace.deck(words), WORDS, sounds=False)
    workplace.require_order()


def test_a_store_that_is_deleted_under_a_build_is_told(workplace: Workplace, till: Till) -> None:
    words = workplace.words("deck", WORDS)
    building = workplace.start(words)
    wait_until(lambda: len(till.charges) >= 10)
    shutil.rmtree(workplace.store, ignore_errors=True)
    shutil.rmtree(workplace.store, ignore_errors=True)
    done = ended(building)
    assert done.code in (1, 3), done
    if done.code == 1:
        require_error(done, str(workplace.store))
    assert workplace.build(words).code == 0
    require_whole(workplace.deck(words), WORDS, sounds=False)


# Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_what_is_in_flight_and_the_next_build_goes_on(
    workplace: Workplace, till: Till, number: signal.Signals
) -> None:
    words = workplace.words("deck", WORDS)
    building = workplace.start(words)
    wait_until(lambda: len(till.charges) >= 10)
    building.send_signal(number)
    done = ended(building)
    assert done.code == 130, done
    assert "the same command goes on" in done.err
    assert len(till.charges) < len(WORDS)
    kept = workplace.query("SELECT count(*) FROM media")[0][0]
    assert kept == len(till.charges)
    workplace.require_order()
    assert not workplace.deck(words).exists()
    done = workplace.build(words)
    assert (done.code, done.report["kept"]["pictures"]) == (0, kept)
    require_once(till)


def test_a_second_interrupt_stops_at_once_and_the_next_build_pays_again_for_what_was_in_flight_at_most(
    workplace: Workplace, till: Till
) -> None:
    words = workplace.words("deck", WORDS)
    till.fail(Slow(20), times=None, when=lambda received: len(till.charges) >= 10)
    building = workplace.start(words)
    wait_until(lambda: len(till.requests) > len(till.charges) + AT_ONCE / 2 and len(till.charges) >= 10)
    wait_until(lambda: _is_quiet(till))
    building.send_signal(signal.SIGINT)
    assert building.stderr is not None
    # Before it, a slow build says how far it is.
    assert any("Stopping" in line for line in building.stderr)
    building.send_signal(signal.SIGINT)
    done = ended(building, patience=10)
    assert done.code == 130, done
    workplace.require_order()
    till.heal()
    assert workplace.build(words).code == 0
    assert len(till.charges) <= len(WORDS) + AT_ONCE
    assert sum(row.cost for row in workplace.rows()) >= till.charged - 1e-6


def test_an_interrupt_at_any_moment_ends_in_words(workplace: Workplace, till: Till) -> None:
    chance = random.Random(1)
    words = workplace.words("deck", WORDS)
    codes = Counter[int]()
    for _ in range(20):
        building = workplace.start(words)
        try:
            building.wait(chance.uniform(0.3, 1.0))
        except subprocess.TimeoutExpired:
            building.send_signal(signal.SIGINT)
        done = ended(building)
        codes[done.code] += 1
        assert done.code in (0, 130, -signal.SIGINT), done
    # Before Python listens, and when it has ended all but itself, the signal does what it does to any process.
    assert set(codes) <= {0, 130, -signal.SIGINT}, codes
    assert workplace.build(words).code == 0
    require_once(till)
    workplace.require_order()
