"""`deckwright providers`: what is on offer, and what is configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deckwright.cli.common import config_option, console, json_option, plain_table, print_json, show_problems


@click.command("providers", short_help="List the providers on offer and those set up.")
@config_option
@json_option
def command(config: Path | None, as_json: bool) -> None:
    """List the providers on offer, and those that the configuration sets up."""
    from deckwright.registry import ProviderRegistry
    from deckwright.settings import describe_settings

    with ProviderRegistry.from_config(config) as registry:
        instances: dict[tuple[str, str], list[str]] = {}
        for type in registry.plugins.types:
            for instance in registry[type]:
                instances.setdefault((type, registry.name_of(type, instance)), []).append(instance)
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
                "settings": describe_settings(info.config_class) if info.config_class else [],
            }
            for info, plugin in registry.plugins.describe()
        ]
        for (type, name), configured in instances.items():
            owner = registry.plugins.owner(type, name)
            rows.append({"type": type, "name": name, "configured": configured, "plugin": str(owner or "")})
        if as_json:
            problems = [*registry.problems(), *registry.warnings]
            print_json({"providers": rows, "problems": problems, "remarks": registry.plugins.remarks()})
            return
        table = plain_table("type", "name", "configured as", "what it is")
        for row in rows:
            table.add_row(row["type"], row["name"], ", ".join(row["configured"]), row.get("summary", ""))
        console().print(table)
        show_problems([*registry.problems(), *registry.warnings], registry.plugins.remarks())
