"""`deckwright cache`: shows what builds have cached and what it cost, and removes it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deckwright.cli.options import config_option, json_option
from deckwright.cli.output import console, dollars, echo, plain_table, print_json, show
from deckwright.cli.session import store_folder
from deckwright.diagnostics import Diagnostic

if TYPE_CHECKING:
    from deckwright.store import Store
    from deckwright.store.folder import RunRecord
    from deckwright.store.pruning import Choice, Leftovers, Prunable

_DAY = 24 * 3600


@click.group(
    "cache", invoke_without_command=True, short_help="Show what builds have cached; remove some of it."
)
@config_option
@json_option
@click.pass_context
def command(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Show what builds have cached, so that nothing is made or paid for twice, and what they have spent.

    Only `deckwright cache prune` removes anything, and it asks before it removes what has cost money.
    """
    if context.invoked_subcommand:
        return
    from deckwright.store import Store

    folder = store_folder(config)
    if not Store.exists(folder):
        _show_no_store(folder, as_json)
        return
    with Store(folder) as store:
        shown = _overview(store)
    if as_json:
        print_json(shown)
    else:
        _show(shown)


@command.command("prune", short_help="Remove what is unused, or what you choose.")
@config_option
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="What was made more than DAYS days ago.",
)
@click.option("--provider", metavar="NAME", help="What this provider made, such as openai.")
@click.option("--deck", metavar="NAME", help="What is cached for this deck only.")
@click.option("--refusals", is_flag=True, help="Only the words that providers had nothing for.")
@click.option("--orphans", is_flag=True, help="Only unused files, and entries whose files are gone.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--yes", is_flag=True, help="Remove what was paid for too, without asking.")
@json_option
@click.pass_context
def prune_command(
    context: click.Context,
    config: Path | None,
    older_than: float | None,
    provider: str | None,
    deck: str | None,
    refusals: bool,
    orphans: bool,
    everything: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove what builds have cached.

    Without options, that is what is unused: files without an entry, entries whose files are gone, and refusals of
    more than 30 days ago. --older-than, --provider and --deck select files and refusals that match all of them.

    What has cost money would have to be paid for again. The command shows how much, and asks before it removes it,
    unless you add --yes. What was spent is remembered in any case, so budgets do not change.

    \b
    Exit codes:
      0  it was removed, or there was nothing to remove
      1  a build is using the store, or the store cannot be used
      2  the configuration or the options are wrong
      3  some files could not be removed
    """  # noqa: D301
    from deckwright import cli
    from deckwright.store import Store
    from deckwright.store.pruning import find_prunable, prune

    group = context.parent.params if context.parent else {}
    config, as_json = config or group["config"], as_json or group["as_json"]
    choice = _choice(older_than, provider, deck, refusals, orphans, everything)
    folder = store_folder(config)
    if not Store.exists(folder):
        _show_no_store(folder, as_json)
        return
    with Store(folder) as store:
        found = find_prunable(store, choice)
        if not as_json:
            _show_found(found, dry_run)
            if not found:
                _note_unknown(store, choice)
        problems = []
        if found and not dry_run:
            if not yes and (found.cost or found.unpriced):
                _confirm(found)
            problems = prune(store, found)
    if as_json:
        print_json({"folder": folder, "dry_run": dry_run, **_as_json(found), "problems": problems})
    elif found and not dry_run and not problems:
        echo("Done.")
    show([Diagnostic("error", "", problem) for problem in problems])
    if problems:
        context.exit(cli.SOME_FAILED)


def _choice(
    older_than: float | None,
    provider: str | None,
    deck: str | None,
    refusals: bool,
    orphans: bool,
    everything: bool,
) -> Choice:
    """Return what the options select."""
    from deckwright.builder.accounting import NEGATIVE_ENTRIES_LAST
    from deckwright.store.pruning import Choice

    if "" in (provider, deck):
        # It may come from a variable that is not set, and would select more than was meant.
        raise click.UsageError("An empty name selects nothing.")
    filters = older_than is not None or bool(provider or deck)
    if everything:
        if filters or refusals or orphans:
            raise click.UsageError("--all selects everything, so it cannot be combined with other options.")
        return Choice(files=True, negative=True, leftovers=True)
    if orphans and filters:
        raise click.UsageError("The provider, deck and age of an unused file are not known.")
    if not (filters or refusals or orphans):
        return Choice(negative=True, leftovers=True, before=time.time() - NEGATIVE_ENTRIES_LAST)
    return Choice(
        files=filters and not refusals,
        negative=refusals or filters,
        leftovers=orphans,
        before=None if older_than is None else time.time() - older_than * _DAY,
        provider=provider or "",
        deck=deck or "",
    )


def _show_no_store(folder: Path, as_json: bool) -> None:
    if as_json:
        print_json({"folder": folder, "exists": False})
    else:
        echo(f"Nothing is cached yet: there is no store at {folder}.")


# What there is


def _overview(store: Store) -> dict[str, Any]:
    """Return all that is shown of a store."""
    from deckwright.store import current_day
    from deckwright.store.cache_entries import Selection
    from deckwright.store.pruning import find_leftovers, running_builds

    leftovers = find_leftovers(store)
    kept: list[dict[str, Any]] = [
        dict(zip(("type", "provider", "deck", "files", "bytes", "cost"), row, strict=True))
        for row in store.entries.totals()
    ]
    return {
        "folder": store.folder,
        "exists": True,
        "files": sum(each["files"] for each in kept),
        "bytes": sum(each["bytes"] for each in kept),
        "kept": kept,
        "refusals": store.entries.count_negative(Selection()),
        "providers": _spending(store, current_day()),
        **_leftovers_as_json(leftovers),
        "building": [_build_as_json(build) for build in running_builds(store)],
    }


def _spending(store: Store, day: str) -> list[dict[str, Any]]:
    """Return the requests to each provider, what was charged, and what may have been charged."""
    ledger = store.ledger
    requests = ledger.count_requests()
    spent, spent_today = ledger.costs(), ledger.costs(since=day)
    lost, lost_today = ledger.lost_costs(), ledger.lost_costs(since=day)
    names = sorted(
        {name for name, _ in requests} | {name for name, amount in spent.items() if _amount(amount)}
    )
    return [
        {
            "provider": name,
            "requests": {state: requests.get((name, state), 0) for state in ("answered", "lost", "asked")},
            "charged": _amount(spent.get(name, 0.0) - lost.get(name, 0.0)),
            "charged_today": _amount(spent_today.get(name, 0.0) - lost_today.get(name, 0.0)),
            "perhaps_charged": _amount(lost.get(name, 0.0)),
            "perhaps_charged_today": _amount(lost_today.get(name, 0.0)),
        }
        for name in names
    ]


def _amount(dollars: float) -> float:
    """Return a sum of dollars without rounding errors."""
    return max(0.0, round(dollars, 6))


def _leftovers_as_json(leftovers: Leftovers) -> dict[str, Any]:
    orphans = leftovers.orphans
    return {"orphans": {"files": len(orphans), "bytes": sum(orphans.values())}, "gone": len(leftovers.gone)}


def _build_as_json(build: RunRecord) -> dict[str, Any]:
    return {
        "deck": build.deck,
        "since": datetime.fromtimestamp(build.started_at).astimezone().isoformat("T", "seconds"),
    }


def _show(shown: dict[str, Any]) -> None:
    echo(f"{click.style(str(shown['folder']), bold=True)}: {_files(shown['files'], shown['bytes'])}")
    if shown["kept"]:
        table = plain_table("type", "provider", "for", "files", "size", "cost")
        for each in shown["kept"]:
            whose = each["deck"] or "any deck"
            table.add_row(
                each["type"], each["provider"], whose, f"{each['files']:,}", _size(each["bytes"]), dollars(each["cost"])
            )  # fmt: skip
        echo("")
        console().print(table)
    if shown["providers"]:
        table = plain_table("provider", "requests", "lost", "charged today", "in all", "perhaps charged")
        for each in shown["providers"]:
            lost = each["requests"]["lost"]
            table.add_row(
                each["provider"],
                f"{sum(each['requests'].values()):,}",
                f"{lost:,}",
                dollars(each["charged_today"]),
                dollars(each["charged"]),
                dollars(each["perhaps_charged"]) if lost else "",
            )
        echo("")
        console().print(table)
    echo("")
    if refusals := shown["refusals"]:
        echo(f"{_count(refusals, 'refusal')} of providers that have nothing for a word.")
    for build in shown["building"]:
        echo(f"A build of {build['deck']!r} is using it, since {build['since'].replace('T', ' ')[:16]}.")
    orphans, gone = shown["orphans"], shown["gone"]
    if orphans["files"]:
        echo(f"{_files(orphans['files'], orphans['bytes'])}, unused.")
    if gone:
        echo(f"{_count(gone, 'entry', 'entries')} whose files are gone.")
    if orphans["files"] or gone:
        echo("`deckwright cache prune` removes what is unused.")


# What is removed


def _as_json(found: Prunable) -> dict[str, Any]:
    rows = [
        {"type": type, "provider": provider, "deck": deck, **counts}
        for (type, provider, deck), counts in _by_provider(found).items()
    ]
    return {
        "files": found.files,
        "bytes": found.bytes,
        "cost": _amount(found.cost),
        "of_unknown_cost": found.unpriced,
        "kept": rows,
        "refusals": found.negative,
        **_leftovers_as_json(found.leftovers),
    }


def _by_provider(found: Prunable) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return how much is removed of each type, provider and deck."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    costs: dict[tuple[str, str, str], float] = {}
    for each in found.entries:
        whose = each.entry.type, each.entry.provider, each.entry.deck
        counts.setdefault(whose, Counter()).update(files=bool(each.bytes), bytes=each.bytes)
        costs[whose] = costs.get(whose, 0.0) + (each.entry.cost or 0.0)
    return {
        whose: {"files": count["files"], "bytes": count["bytes"], "cost": _amount(costs[whose])}
        for whose, count in sorted(counts.items())
    }


def _show_found(found: Prunable, dry_run: bool) -> None:
    if not found:
        echo("There is nothing to remove.")
        return
    table = plain_table("would be removed" if dry_run else "to remove", "files", "size", "cost")
    for (type, provider, deck), counts in _by_provider(found).items():
        whose = f" for {deck}" if deck else ""
        size, cost = _size(counts["bytes"]), dollars(counts["cost"])
        table.add_row(f"{type} from {provider}{whose}", f"{counts['files']:,}", size, cost)
    orphans = found.leftovers.orphans
    if orphans:
        table.add_row("unused files", f"{len(orphans):,}", _size(sum(orphans.values())), "")
    if found.leftovers.gone:
        table.add_row("entries whose files are gone", f"{len(found.leftovers.gone):,}", "", "")
    if found.negative:
        table.add_row("refusals", f"{found.negative:,}", "", "")
    console().print(table)
    if found.cost or found.unpriced:
        echo(f"To make it again would cost as much as before: {_price(found)}.")


def _price(found: Prunable) -> str:
    """Return the cost of what would be removed."""
    unknown = f"{_count(found.unpriced, 'result')} with unknown costs"
    if not found.unpriced:
        return dollars(found.cost)
    return f"{dollars(found.cost)}, and {unknown}" if found.cost else unknown


def _confirm(found: Prunable) -> None:
    """Ask whether to remove what has cost money."""
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"Nothing was removed, since it has cost {_price(found)}. Add --yes to remove it."
        )
    if not click.confirm(f"Remove what has cost {_price(found)}?", err=True):
        echo("Nothing was removed.")
        raise click.exceptions.Exit


def _note_unknown(store: Store, choice: Choice) -> None:
    """Show a note if a name is not known, since it may be a typing mistake."""
    rows = store.entries.totals()
    for name, known, what in (
        (choice.provider, {provider for _, provider, *_ in rows}, "from a provider {}"),
        (choice.deck, {deck for _, _, deck, *_ in rows if deck}, "for a deck {} alone"),
    ):
        if name and name not in known:
            others = f", only {what.format(_names(known))}" if known else ""
            message = f"Nothing is cached {what.format(repr(name))}{others}."
            show([Diagnostic("note", "", message)])


def _names(names: Iterable[str]) -> str:
    return " or ".join(map(repr, sorted(names)))


def _files(count: int, size: int) -> str:
    return f"{_count(count, 'file')}, {_size(size)}"


def _count(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def _size(size: int) -> str:
    from rich.filesize import decimal

    return decimal(size)
