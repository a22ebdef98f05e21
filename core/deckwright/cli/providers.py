"""`deckwright providers`: lists the providers on offer, and those that are configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deckwright.cli.options import config_option, json_option
from deckwright.cli.output import console, plain_table, print_json, show
from deckwright.cli.session import open_registry
from deckwright.diagnostics import Diagnostic


@click.command("providers", short_help="List the providers on offer and those set up.")
@config_option
@click.option(
    "-a", "--all", "show_all", is_flag=True, help="Show all that is known of each, and its settings."
)
@json_option
def command(config: Path | None, show_all: bool, as_json: bool) -> None:
    """List the providers on offer, and those that the configuration sets up.

    With --all, also the plugin that each comes from, the packages it needs, and all its settings.
    """
    with open_registry(config) as registry:
        instances: dict[tuple[str, str], list[str]] = {}
        for type in registry.plugins.types:
            for instance in registry[type]:
                instances.setdefault((type, registry.name_of(type, instance)), []).append(instance)
        problems = [*registry.problems(), *registry.warnings]
        notes = registry.plugins.notes()
        rows: list[dict[str, Any]] = [
            {
                "type": info.type,
                "name": info.name,
                "configured": instances.pop((info.type, info.name), []),
                "summary": info.summary,
                "plugin": str(plugin),
                "extra": info.extra,
                "attribution": info.traits.attribution,
                "requests_per_item": info.traits.requests_per_item,
                "cacheable": info.traits.cacheable,
                "settings": _settings(info.config_class, f"{info.type}/{info.name}", problems),
            }
            for info, plugin in registry.plugins.describe()
        ]
        for (type, name), configured in instances.items():
            owner = registry.plugins.owner(type, name)
            rows.append({"type": type, "name": name, "configured": configured, "plugin": str(owner or "")})
        if as_json:
            shown = {"problems": list(map(str, problems)), "remarks": list(map(str, notes))}
            print_json({"providers": rows, **shown})
            return
        if show_all:
            for row in rows:
                _show(row)
        else:
            table = plain_table("type", "name", "configured as", "what it is")
            for row in rows:
                table.add_row(row["type"], row["name"], ", ".join(row["configured"]), row.get("summary", ""))
            console().print(table)
        show([*problems, *notes])


def _settings(settings_class: Any, provider: str, problems: list[Diagnostic]) -> list[dict[str, Any]]:
    """Return what is known of a provider's settings; a class that cannot be described is a problem."""
    from deckwright.config.settings import describe_settings
    from deckwright.errors import CATCHABLE
    from deckwright.tracebacks import diagnostic_of

    try:
        return describe_settings(settings_class) if settings_class else []
    except CATCHABLE as error:  # a plugin's class may have types that cannot be resolved
        problems.append(diagnostic_of(error, provider, doing="its settings cannot be described"))
        return []


def _show(row: dict[str, Any]) -> None:
    """Print all that is known of one provider."""
    out = console()
    out.print(f"{row['type']}/{row['name']}", style="bold")
    facts = plain_table("", "")
    shown = {
        "what it is": row.get("summary"),
        "plugin": row["plugin"],
        "install": f'pip install "{row["extra"]}"' if row.get("extra") else "",
        "requests": f"{row['requests_per_item']} for each item" if row.get("requests_per_item") else "",
        "credit": row.get("attribution"),
        "set up as": ", ".join(row["configured"]),
        "settings": "" if row.get("settings") else "its plugin describes none",
    }
    for name, value in shown.items():
        if value:
            facts.add_row(f"  {name}", value)
    out.print(facts)
    if row.get("settings"):
        out.print("  settings")
        table = plain_table("", "")
        # Do not wrap names.
        table.columns[0].min_width = min(40, max(len(setting["name"]) for setting in row["settings"]) + 4)
        for setting in row["settings"]:
            table.add_row(f"    {setting['name']}", f"{setting['help'] or '?'}\n{_kind(setting)}")
        out.print(table)
    out.print()


def _kind(setting: dict[str, Any]) -> str:
    """Return the type, limits and default of a setting, in one line."""
    from deckwright.config.toml import toml_value

    facts = [setting["type"], setting["limits"]]
    if setting["required"]:
        facts.append("required")
    elif setting["default"] is not None:
        facts.append(f"{toml_value(setting['default'])} when not set")
    facts.append("a secret" if setting["secret"] else "")
    return f"({'; '.join(filter(None, facts))})"
