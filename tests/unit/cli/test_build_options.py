"""`deckwright build` and `estimate`: budgets, what is kept, reports, and how a build is stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
# Seconds after which a process that should end at once has not.
DEADLINE = 20.0

# Pictures at half a dollar; nobody can draw "nada". What it was asked for is in a file.
PAINTER = """
from pathlib import Path
from deckwright import ContentPolicyError, MediaProvider, MediaResult, hookimpl

class Painter(MediaProvider):
    supported_types = ("image",)

    def get_cost_estimate(self, requests):
        return {"total_cost": 0.5 * len(requests), "per_request": 0.5, "requests_count": len(requests)}

    def _generate_media_impl(self, request):
        with Path("asked.txt").open("a") as file:
            file.write(request.content + "\\n")
        if request.content == "nada":
            raise ContentPolicyError("Nothing is not to be drawn.")
        request.output_path.write_bytes(b"GIF89a " + request.content.encode() + b";")
        return MediaResult(True, request.output_path, {"cost": 0.5})

@hookimpl
def register_media_provider(type, name, config):
    return Painter(config) if (type, name) == ("image", "painter") else None
"""
CONFIG = """
[plugins]
paths = ["bell.py", "painter.py"]
installed = false
[build]
language = "es"
[providers.data.csv]
pipelines = ["*"]
[providers.audio.bell]
pipelines = ["*"]
[providers.image.painter]
pipelines = ["*"]
[providers.sync.apkg]
pipelines = ["*"]
"""


@pytest.fixture
def shop(folder: Path) -> Path:
    """The working directory, with words, a bell and a painter; the configuration is the one that is found there."""
    (folder / "painter.py").write_text(PAINTER, encoding="utf-8")
    (folder / "deckwright.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "words.txt").write_text("hola\nagua\nsol\n", encoding="utf-8")
    return folder


def asked(shop: Path) -> list[str]:
    """Return what the painter was asked for since this was last called."""
    file = shop / "asked.txt"
    words = file.read_text().split() if file.exists() else []
    file.write_text("")
    return words


def table(out: str) -> dict[str, str]:
    """Return the rows of two columns of what was printed."""
    rows = (re.split(r"\s{2,}|│", line.strip("│ ")) for line in out.splitlines())
    return {row[0].strip(): row[-1].strip() for row in rows if len(row) > 1}


# Budgets


def test_a_budget_is_kept_and_the_same_command_goes_on(run: Run, shop: Path) -> None:
    done = run("build", "words.txt", "--budget", "1")
    assert (done.code, asked(shop)) == (3, ["hola", "agua"])
    assert re.search(r"^1 +pictures +painter +budget spent +sol *$", done.out, re.MULTILINE)
    assert "Another request might exceed the budget of this build, $1.00.\n    Raise it" in done.out
    assert "$1.00 (painter $1.00)" in done.out
    done = run("build", "words.txt", "--budget", "1")
    assert (done.code, asked(shop)) == (0, ["sol"])
    assert table(done.out)["pictures"] == "3 of 3 (2 cached)"
    assert table(done.out)["cost"] == "$0.50 (painter $0.50)"


def test_a_budget_of_the_configuration_is_replaced_by_that_of_the_command(run: Run, shop: Path) -> None:
    config = CONFIG.replace("[build]", "[build]\nbudget = 0.5")
    (shop / "deckwright.toml").write_text(config, encoding="utf-8")
    assert run("build", "words.txt").code == 3
    assert asked(shop) == ["hola"]
    assert run("build", "words.txt", "-b", "5").code == 0
    assert asked(shop) == ["agua", "sol"]


@pytest.mark.parametrize("amount", ["-1", "much", ""])
def test_a_budget_is_an_amount(run: Run, shop: Path, amount: str) -> None:
    done = run("build", "words.txt", "--budget", amount)
    assert (done.code, asked(shop)) == (2, [])
    assert "--budget" in done.err


@pytest.mark.parametrize("name", ["budget", "daily_budget"])
def test_so_it_is_in_a_configuration(run: Run, shop: Path, name: str) -> None:
    (shop / "deckwright.toml").write_text(
        CONFIG.replace("[build]", f"[build]\n{name} = -1"), encoding="utf-8"
    )
    done = run("build", "words.txt")
    assert (done.code, asked(shop)) == (2, [])
    assert f"build.{name}" in done.err


# What is kept


def test_a_dry_run_tells_what_is_kept_and_what_the_rest_costs_and_makes_nothing(
    run: Run, shop: Path, store: Path
) -> None:
    before = run("build", "words.txt", "--dry-run")
    assert (before.code, asked(shop), store.exists()) == (0, [], False)
    assert table(before.out)["cost"] == "about $1.50"
    assert "cached" not in before.out
    run("build", "words.txt", "--budget", "1")
    asked(shop)
    shown = table(run("build", "words.txt", "--dry-run").out)
    assert shown["cached"] == "3 sounds, 2 pictures"
    assert shown["cost"] == "about $0.50"
    found = json.loads(run("build", "words.txt", "--dry-run", "--json").out)
    assert (found["kept"], found["expected"], found["most"]) == ({"sounds": 3, "pictures": 2}, 0.5, 0.5)
    assert asked(shop) == []


def test_an_estimate_leaves_out_what_is_kept(run: Run, shop: Path) -> None:
    run("build", "words.txt", "--budget", "1")
    asked(shop)
    done = run("estimate", "words.txt")
    assert done.code == 0
    assert re.search(r"^image +painter +first +1 +0 +\$0.50 +\$0.50 *$", done.out, re.MULTILINE)
    assert "Cached by earlier builds: 3 sounds, 2 pictures." in done.out
    found = json.loads(run("estimate", "words.txt", "--json").out)
    assert (found["kept"], found["expected"]) == ({"sounds": 3, "pictures": 2}, 0.5)
    assert [(each["instance"], each["items"]) for each in found["providers"]] == [("bell", 0), ("painter", 1)]
    assert asked(shop) == []


def test_an_estimate_of_what_is_all_there_is_nothing(run: Run, shop: Path) -> None:
    run("build", "words.txt")
    found = json.loads(run("estimate", "words.txt", "--json").out)
    assert (found["expected"], found["most"]) == (0.0, 0.0)


def test_what_was_refused_is_asked_again_on_request_only(run: Run, shop: Path) -> None:
    (shop / "words.txt").write_text("hola\nnada\n", encoding="utf-8")
    assert (run("build", "words.txt").code, asked(shop)) == (3, ["hola", "nada"])
    done = run("build", "words.txt")
    assert (done.code, asked(shop)) == (3, [])
    assert "content refused" in done.out
    assert "--retry-failed" in done.out
    assert (run("build", "words.txt", "--retry-failed").code, asked(shop)) == (3, ["nada"])
    (shop / "painter.py").write_text(PAINTER.replace('"nada"', '"nunca"'), encoding="utf-8")
    assert (run("build", "words.txt", "--retry-failed").code, asked(shop)) == (0, ["hola", "nada"])


def test_what_would_be_retried_is_in_the_estimate_of_a_dry_run(run: Run, shop: Path) -> None:
    (shop / "words.txt").write_text("hola\nnada\n", encoding="utf-8")
    run("build", "words.txt")
    assert json.loads(run("build", "words.txt", "--dry-run", "--json").out)["expected"] == 0.0
    shown = json.loads(run("build", "words.txt", "--retry-failed", "--dry-run", "--json").out)
    assert shown["expected"] == 0.5


# Reports


def test_a_report_is_written_as_json_beside_what_is_shown(run: Run, shop: Path) -> None:
    (shop / "words.txt").write_text("hola\nnada\nsilencio\n", encoding="utf-8")
    done = run("build", "words.txt", "--report", "report.json")
    assert done.code == 3
    assert "The deck is in words.apkg" in done.out
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert (report["sounds"], report["pictures"], report["kept"]) == (2, 2, {"sounds": 0, "pictures": 0})
    assert (report["cost"], report["costs"]) == (1.0, {"painter": 1.0})
    assert [(item["kind"], item["words"], item["count"]) for item in report["failures"]] == [
        ("nothing found", ["silencio"], 1),
        ("content refused", ["nada"], 1),
    ]
    assert all(item["message"] and item["hint"] for item in report["failures"])
    again = json.loads(run("build", "words.txt", "--json", "--report", "report.json").out)
    written = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert written == again
    assert (written["cost"], written["kept"]) == (0.0, {"sounds": 2, "pictures": 2})


@pytest.mark.parametrize("file", ["no/such/report.json", "words.txt/report.json"])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_made(
    run: Run, shop: Path, file: str
) -> None:
    done = run("build", "words.txt", "--report", file)
    assert (done.code, asked(shop)) == (1, [])
    assert "report.json cannot be written" in done.err
    assert not Path("words.apkg").exists()


# Engines and stores


def test_an_unknown_engine_is_wrong_input_and_one_like_it_is_named(run: Run, shop: Path) -> None:
    (shop / "deckwright.toml").write_text(
        CONFIG.replace("[build]", '[build]\nengine = "dsk"'), encoding="utf-8"
    )
    done = run("build", "words.txt")
    assert (done.code, asked(shop)) == (2, [])
    assert "did you mean 'dask'" in done.err


def test_a_store_that_cannot_be_used_is_told_with_the_mend(run: Run, shop: Path, store: Path) -> None:
    store.write_text("in the way", encoding="utf-8")
    done = run("build", "words.txt")
    assert (done.code, asked(shop)) == (1, [])
    assert f"The store {store} cannot be used: " in done.err
    assert "DECKWRIGHT_STORE" in done.err


# Stopping a real process

# What a bell does at the word "stop", in place of ringing.
WAITS = "print('now', flush=True); input()"
HANGS = "print('now', flush=True); import threading; threading.Event().wait()"


@contextmanager
def building(folder: Path, at_stop: str) -> Iterator[subprocess.Popen[str]]:
    """Start a build in a process of its own, and wait until it has come to the word "stop"."""
    bell = folder / "bell.py"
    bell.write_text(bell.read_text().replace("raise KeyboardInterrupt", at_stop))
    (folder / "words.txt").write_text("hola\nstop\nadiós\n", encoding="utf-8")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-m", "deckwright", "build", "words.txt", "-c", "bell.toml"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == "now\n"
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_request_to_end_stops_a_build_as_ctrl_c_does_and_the_next_one_goes_on(
    run: Run, folder: Path
) -> None:
    with building(folder, WAITS) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Stopping: what is in flight is finished first.")
        out, err = process.communicate("go on\n", timeout=DEADLINE)
    assert (process.returncode, out) == (130, "")
    # The bell rang when it had read a line.
    assert "2 of 3 sounds and pictures are saved. Run the same command again to continue." in err
    assert not Path("words.apkg").exists()
    shown = json.loads(run("build", "words.txt", "-c", "bell.toml", "--dry-run", "--json").out)
    assert shown["kept"] == {"sounds": 2, "pictures": 0}


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_twice_ends_at_once_a_build_whose_provider_hangs(folder: Path, store: Path) -> None:
    with building(folder, HANGS) as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Stopping: ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (130, "")
    assert "1 of 3 sounds and pictures are saved. Run the same command again to continue." in err
    assert "Traceback" not in err
    assert list((store / "runs").iterdir()) == []
