"""`deckwright cache`: what is kept and what it cost is shown, and what is chosen is removed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stores import all_entries, path_of, record, reserved

from deckwright.store import NegativeEntry, ProviderRef, Run, Store

Command = Callable[..., Any]
PAINTED = ProviderRef("image", "painted", "openai")


@pytest.fixture
def filled(store: Path) -> Store:
    """The store, with a picture for $0.25, a free sound, one for a deck alone, and a refusal; it is closed."""
    with Store(store) as opened, Run(opened, "Fruit") as run:
        record(
            run,
            "paid",
            b"ID3 1",
            reservation=reserved(run, "paid"),
            cost=0.25,
            provider=PAINTED,
        )
        record(run, "free", b"ID3 2", provider=ProviderRef("audio", "robot", "espeak"))
        record(run, "own", b"ID3 3", deck="Fruit", provider=ProviderRef("audio", "forvo", "forvo"))
        run.store.entries.insert_negative("no", NegativeEntry("NotFoundError", "None.", ""), "forvo", "")
        run.settle(reserved(run, "lost", 0.125), None, is_lost=True)
    return opened


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has a user at a terminal who answers."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    return lambda answer: monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))


def kept(store: Path) -> set[str]:
    with Store(store) as opened:
        return {each.key for each in all_entries(opened) if path_of(opened, each).is_file()}


def table(text: str) -> list[list[str]]:
    """Return the lines of a table as their cells."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


# What there is


@pytest.mark.parametrize("command", [["cache"], ["cache", "prune"], ["cache", "prune", "--all", "--yes"]])
def test_a_store_that_is_not_there_yet_is_reported_and_not_made(
    run: Command, store: Path, command: list[str]
) -> None:
    done = run(*command)
    assert (done.code, done.err) == (0, "")
    assert f"there is no store at {store}" in done.out
    assert json.loads(run(*command, "--json").out) == {"folder": str(store), "exists": False}
    assert not store.exists()


def test_what_is_cached_is_shown_by_provider_and_deck(run: Command, store: Path, filled: Store) -> None:
    done = run("cache")
    assert (done.code, done.err) == (0, "")
    rows = table(done.out)
    assert rows[0] == [f"{store}: 3 files, 15 bytes"]
    assert ["audio", "espeak", "any deck", "1", "5 bytes", "$0.00"] in rows
    assert ["audio", "forvo", "Fruit", "1", "5 bytes", "$0.00"] in rows
    assert ["image", "openai", "any deck", "1", "5 bytes", "$0.25"] in rows
    assert ["openai", "2", "1", "$0.25", "$0.25", "$0.125"] in rows
    assert ["1 refusal of providers that have nothing for a word."] in rows
    assert "prune" not in done.out
    assert "at work" not in done.out


def test_all_of_it_is_there_for_programs(run: Command, store: Path, filled: Store) -> None:
    shown = json.loads(run("cache", "--json").out)
    assert {name: shown[name] for name in ("folder", "exists", "files", "bytes", "refusals", "gone")} == {
        "folder": str(store), "exists": True, "files": 3, "bytes": 15, "refusals": 1, "gone": 0
    }  # fmt: skip
    assert shown["kept"][2] == {
        "type": "image", "provider": "openai", "deck": "", "files": 1, "bytes": 5, "cost": 0.25
    }  # fmt: skip
    assert shown["providers"] == [
        {
            "provider": "openai",
            "requests": {"answered": 1, "lost": 1, "asked": 0},
            "charged": 0.25,
            "charged_today": 0.25,
            "perhaps_charged": 0.125,
            "perhaps_charged_today": 0.125,
        }
    ]
    assert (shown["orphans"], shown["building"]) == ({"files": 0, "bytes": 0}, [])


def test_a_build_that_is_at_work_is_shown_and_nothing_is_removed(
    run: Command, store: Path, filled: Store
) -> None:
    with Store(store) as opened, Run(opened, "Trees: oak"):
        assert "A build of 'Trees: oak' is using it, since 20" in run("cache").out
        [build] = json.loads(run("cache", "--json").out)["building"]
        assert build["deck"] == "Trees: oak"
        done = run("cache", "prune", "--all", "--yes")
        assert done.code == 1
        assert "a build of 'Trees: oak' is using it" in done.err
        assert run("cache", "prune", "--all", "--dry-run").code == 0
    assert kept(store) == {"paid", "free", "own"}


def test_leftovers_are_shown_with_the_command_that_removes_them(
    run: Command, store: Path, filled: Store
) -> None:
    with Store(store) as opened:
        opened.entries.remove_keys(["paid"])
        found = opened.entries.find("free")
        assert found is not None
        path_of(opened, found).unlink()
    out = run("cache").out
    assert "1 file, 5 bytes, unused." in out
    assert "1 entry whose files are gone." in out
    assert "`deckwright cache prune`" in out
    done = run("cache", "prune")
    assert (done.code, done.err) == (0, "")
    assert ["unused files", "1", "5 bytes"] in table(done.out)
    assert ["entries whose files are gone", "1"] in table(done.out)
    assert "prune" not in run("cache").out
    assert kept(store) == {"own"}


def test_the_store_is_the_one_of_the_configuration(
    run: Command, store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DECKWRIGHT_STORE")
    Path("mine.toml").write_text('[build]\nstore = "kept"\n')
    Path("words.txt").write_text("hola\nadiós\n", encoding="utf-8")
    Path("bell.toml").write_text(Path("bell.toml").read_text().replace("[build]", '[build]\nstore = "kept"'))
    assert run("build", "words.txt", "-c", "bell.toml").code in (0, 3)
    for arguments in (["cache", "-c", "mine.toml", "--json"], ["cache", "--config", "bell.toml", "--json"]):
        assert json.loads(run(*arguments).out)["folder"] == str(folder / "kept")
    shown = json.loads(run("cache", "-c", "mine.toml", "--json").out)
    assert [(each["type"], each["provider"]) for each in shown["kept"]] == [("audio", "bell")]
    # Wherever in the command the option stands.
    for command in (["cache", "-c", "mine.toml", "prune"], ["cache", "prune", "-c", "mine.toml"]):
        done = run(*command, "--json", "--dry-run", "--provider", "bell")
        assert json.loads(done.out)["folder"] == str(folder / "kept")


def test_a_store_that_cannot_be_read_is_reported(run: Command, store: Path) -> None:
    store.mkdir()
    (store / "ledger.sqlite").write_bytes(b"not a database, but what somebody needs" * 100)
    for command in (["cache"], ["cache", "prune"]):
        done = run(*command)
        assert (done.code, done.out) == (1, "")
        assert str(store) in done.err


# What is removed


def test_without_a_selection_nothing_goes_that_may_be_of_use(
    run: Command, store: Path, filled: Store
) -> None:
    done = run("cache", "prune")
    assert (done.code, done.out, done.err) == (0, "There is nothing to remove.\n", "")
    with Store(store) as opened:
        opened.entries.insert_negative(
            "old", NegativeEntry("NotFoundError", "None.", ""), "forvo", "", at=1.0
        )
    assert ["refusals", "1"] in table(run("cache", "prune").out)
    assert kept(store) == {"paid", "free", "own"}
    assert json.loads(run("cache", "--json").out)["refusals"] == 1


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--provider", "espeak"], {"paid", "own"}),
        (["--deck", "Fruit", "--yes"], {"paid", "free"}),
        (["--older-than", "0", "--yes"], set()),
        (["--older-than", "1"], {"paid", "free", "own"}),
        (["--refusals"], {"paid", "free", "own"}),
        (["--provider", "espeak", "--refusals"], {"paid", "free", "own"}),
        (["--orphans"], {"paid", "free", "own"}),
        (["--all", "--yes"], set()),
    ],
)
def test_what_is_selected_goes(
    run: Command, store: Path, filled: Store, options: list[str], left: set[str]
) -> None:
    dry = run("cache", "prune", *options, "--dry-run", "--json")
    assert kept(store) == {"paid", "free", "own"}
    done = run("cache", "prune", *options, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(dry.out) == {**json.loads(done.out), "dry_run": True}
    assert json.loads(done.out)["files"] == 3 - len(left)
    assert kept(store) == left


def test_what_was_paid_for_goes_only_when_that_is_said(
    run: Command, store: Path, filled: Store, on_a_terminal: Callable[[str], None]
) -> None:
    dry = run("cache", "prune", "--provider", "openai", "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert table(dry.out)[:2] == [
        ["would be removed", "files", "size", "cost"],
        ["image from openai", "1", "5 bytes", "$0.25"],
    ]
    assert "$0.25." in dry.out
    done = run("cache", "prune", "--provider", "openai")
    assert done.code == 2
    assert "it has cost $0.25. Add --yes" in done.err
    on_a_terminal("n")
    done = run("cache", "prune", "--provider", "openai")
    assert (done.code, done.out.splitlines()[-1].strip()) == (0, "Nothing was removed.")
    assert kept(store) == {"paid", "free", "own"}
    on_a_terminal("y")
    done = run("cache", "prune", "--provider", "openai")
    assert done.code == 0
    assert "Remove what has cost $0.25?" in done.err
    assert done.out.endswith("Done.\n")
    assert kept(store) == {"free", "own"}
    # It was spent all the same.
    [openai] = json.loads(run("cache", "--json").out)["providers"]
    assert openai["charged_today"] == 0.25


def test_what_a_service_gave_no_price_for_goes_only_when_that_is_said(run: Command, store: Path) -> None:
    with Store(store) as opened, Run(opened, "Fruit") as at_work:
        record(
            at_work,
            "k",
            reservation=reserved(at_work, "k", 0.0),
            provider=ProviderRef("audio", "forvo", "forvo"),
        )
    done = run("cache", "prune", "--all")
    assert done.code == 2
    assert "1 result with unknown costs" in done.err
    assert kept(store) == {"k"}
    shown = json.loads(run("cache", "prune", "--all", "--yes", "--json").out)
    assert (shown["cost"], shown["of_unknown_cost"], shown["files"]) == (0, 1, 1)
    assert kept(store) == set()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--provider", "opanai"],
            "Nothing is cached from a provider 'opanai', only from a provider 'espeak' or 'forvo' or 'openai'.",
        ),
        (["--deck", "fruit"], "Nothing is cached for a deck 'fruit' alone, only for a deck 'Fruit' alone."),
    ],
)
def test_a_name_that_is_not_known_is_reported(
    run: Command, store: Path, filled: Store, options: list[str], said: str
) -> None:
    done = run("cache", "prune", *options)
    assert (done.code, done.out) == (0, "There is nothing to remove.\n")
    assert said in done.err


@pytest.mark.parametrize(
    "options",
    [
        ["--all", "--provider", "openai"],
        ["--all", "--older-than", "3"],
        ["--all", "--refusals"],
        ["--orphans", "--deck", "Fruit"],
        ["--provider", ""],
        ["--older-than", "10", "--deck", ""],
        ["--older-than", "-1"],
    ],
)
def test_a_selection_that_may_be_a_slip_is_wrong_input(
    run: Command, store: Path, filled: Store, options: list[str]
) -> None:
    done = run("cache", "prune", "--yes", *options)
    assert (done.code, done.out) == (2, "")
    assert kept(store) == {"paid", "free", "own"}


def test_a_file_that_cannot_be_removed_is_reported(run: Command, store: Path, filled: Store) -> None:
    with Store(store) as opened:
        found = opened.entries.find("free")
        assert found is not None
        file = path_of(opened, found)
    file.unlink()
    file.mkdir()
    done = run("cache", "prune", "--provider", "espeak")
    assert done.code == 3
    assert f"{file} cannot be removed" in done.err
    assert "Done" not in done.out


def test_it_explains_itself(run: Command) -> None:
    assert "  prune  Remove what is unused" in run("cache", "--help").out
    lines = run("cache", "prune", "--help").out.splitlines()
    assert all(any(line.startswith(f"    {code}  ") for line in lines) for code in "0123")
