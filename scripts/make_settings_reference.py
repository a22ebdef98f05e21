"""Write docs/settings.md, the reference of all settings, from the settings classes.

Usage: `python scripts/make_settings_reference.py`. The same classes always give the same text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deckwright import __version__
from deckwright.builder.settings import SECTIONS
from deckwright.config.settings import describe_settings
from deckwright.config.toml import toml_value
from deckwright.plugins import Plugins, PluginSettings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """\
# Settings

<!-- scripts/make_settings_reference.py writes this page; do not edit it by hand. -->

Every setting of the configuration and of the built-in providers. Each provider also takes `pipelines`, which is
required, and `type`: see [configuration.md](configuration.md). `deckwright providers --all` shows the settings of every
provider, those of other plugins too, and `deckwright schema` writes them for an editor.

Numbers, `true` and `false` may be written as text, so that they can come from the environment. Secrets should:
`"${NAME}"`.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8", newline="\n")


def reference() -> str:
    """Return the page."""
    plugins = Plugins(PluginSettings(installed=False))
    parts = [HEAD]
    for section, settings_class in SECTIONS.items():
        parts += [f"## `[{section}]`\n", table(settings_class)]
    for info, plugin in plugins.describe():
        if plugin.provenance.kind == "built-in":
            parts += [f"## {info.type}: `{info.name}`\n", f"{info.summary}.\n"]
            if info.extra:
                parts.append(f'Install: `pip install "{info.extra}"`.\n')
            parts.append(table(info.config_class) if info.config_class else "It has no settings.\n")
    return "\n".join(parts)


def table(settings_class: Any) -> str:
    """Return a table of all settings of a class."""
    return "\n".join([*rows(settings_class), ""])


def rows(settings_class: Any) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| setting | type | default | limits | secret | meaning |"
    yield "|---|---|---|---|---|---|"
    for setting in describe_settings(settings_class):
        cells = (
            f"`{setting['name']}`",
            setting["type"],
            default(setting),
            setting["limits"],
            "yes" if setting["secret"] else "",
            setting["help"],
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def default(setting: dict[str, Any]) -> str:
    """Return the default of a setting, for a cell of the table."""
    if setting["required"]:
        return "required"
    # The page should not change with every version.
    text = toml_value(setting["default"]).replace(__version__, "VERSION")
    return "" if setting["default"] is None else f"`{text}`"


if __name__ == "__main__":
    main()
