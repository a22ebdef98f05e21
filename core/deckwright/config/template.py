"""The configuration that `deckwright init` writes: the chosen providers, with every setting explained."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import tomli

from deckwright.config.loader import Config
from deckwright.config.providers import EVERY_PIPELINE
from deckwright.config.settings import check_setting, describe_settings
from deckwright.config.toml import toml_key, toml_value
from deckwright.errors import CATCHABLE
from deckwright.hooks import ProviderInfo
from deckwright.plugins import Plugins

# No deck without them: words come from the first, and decks go to the second.
NEEDED_TYPES = ("data", "sync")

_WIDTH = 80
_HEAD = (
    "Deckwright's configuration. A line such as #volume = 0.4 shows a setting and its default: remove the # to change "
    "it. `deckwright check` checks this file, and `deckwright providers --all` lists all other providers."
)


@attrs.define
class Starter:
    """A configuration to start from.

    Attributes:
        text: The file, TOML.
        variables: The variables of the environment that it needs, each with what it holds.
        unfilled: The settings that its user has to fill in, each with what it is for: those that are required, where
            neither a variable nor an empty value would be allowed.
    """

    text: str = ""
    variables: dict[str, str] = attrs.field(factory=dict)
    unfilled: dict[str, str] = attrs.field(factory=dict)


def default_offers(plugins: Plugins) -> list[ProviderInfo]:
    """Return the providers of the embedded default that are on offer, in its order."""
    default = tomli.loads(Path(__file__).with_name("default.toml").read_text(encoding="utf-8"))
    offers = {(info.type, info.name): info for info, _ in plugins.describe()}
    keys = [(type, name) for type, instances in default["providers"].items() for name in instances]
    return [offers[key] for key in keys if key in offers]


def starter_config(
    plugins: Plugins,
    chosen: Iterable[ProviderInfo],
    tables: Mapping[str, tuple[type[Any], Mapping[str, Any]]],
) -> Starter:
    """Write a configuration for the providers that were chosen.

    Args:
        plugins: What there is to choose from.
        chosen: The providers; those of a type are used in this order. Where one is needed of a type and none was
            chosen, the embedded default's are taken.
        tables: The other sections by name: the attrs class of each, and its settings.
    """
    by_type: dict[str, list[ProviderInfo]] = {type: [] for type in plugins.types}
    for info in chosen:
        by_type[info.type].append(info)
    starter = Starter()
    lines = _comment(_HEAD)
    for section, (settings_class, values) in tables.items():
        lines += ["", f"[{section}]"]
        for setting in describe_settings(settings_class):
            lines += _lines_of(setting, values.get(setting["name"]))
    for type, infos in by_type.items():
        heading = f"{type}: {plugins.types[type].summary}." if plugins.types[type].summary else f"{type}."
        if not infos and type in NEEDED_TYPES:
            infos = [info for info in default_offers(plugins) if info.type == type]
            heading += " You chose none; every deck needs one, so these are the built-in ones."
        elif len(infos) > 1:
            heading += " " + ("Each gets the deck." if type == "sync" else "They are used in this order.")
        if infos:
            lines += ["", "", *_comment(heading)]
        for info in infos:
            lines += ["", *_provider_lines(info, starter)]
    starter.text = "\n".join(lines) + "\n"
    return starter


def moved_plugin_settings(config: Config, folder: Path) -> dict[str, Any]:
    """Return the section `[plugins]` as it is written, with relative paths as seen from another folder."""

    def moved(path: str) -> str:
        if "${" in path or path.startswith("~") or Path(path).is_absolute():
            return path
        try:
            return Path(os.path.relpath(config.folder / path, folder)).as_posix()
        except ValueError:  # on another drive of Windows
            return (config.folder / path).resolve().as_posix()

    written = dict(config.written.get("plugins", {}))
    if "paths" in written:
        written["paths"] = [moved(path) for path in written["paths"]]
    return written


def variable_for(provider: str, setting: str) -> str:
    """Return the name of the variable for a setting: `FORVO_API_KEY`."""
    name = re.sub(r"[^A-Z0-9]+", "_", f"{provider}_{setting}".upper()).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def _provider_lines(info: ProviderInfo, starter: Starter) -> list[str]:
    """Return the lines of one provider; add what its user has to do for it to the starter."""
    section = f"providers.{toml_key(info.type)}.{toml_key(info.name)}"
    lines = _comment(f"{info.summary or info.name}.")
    if info.extra:
        lines += _comment(f'Its packages: pip install "{info.extra}"')
    lines += [f"[{section}]", f"pipelines = {toml_value([EVERY_PIPELINE])}"]
    try:
        described = describe_settings(info.config_class) if info.config_class else []
    except CATCHABLE:  # a third-party class, of which Python cannot resolve the types
        described = []
    if not described:
        lines += _comment("Its plugin describes no settings.")
    for setting in described:
        name = setting["name"]
        variable = variable_for(info.name, name)
        value = None
        if setting["required"]:
            value = _needed(info, setting, f"${{{variable}}}")
            if value is None:
                starter.unfilled[f"{section}.{toml_key(name)}"] = _help(setting)
            elif isinstance(value, str):
                meaning = f"{info.type}/{info.name}: {setting['help'] or setting['type']}"
                starter.variables.setdefault(variable, meaning)
        elif setting["secret"]:
            setting["default"] = f"${{{variable}}}"
        lines += _lines_of(setting, value)
    return lines


def _lines_of(setting: Mapping[str, Any], value: Any) -> list[str]:
    """Return the lines of one setting: what it is for, and its value, or its default in a comment."""
    assignment = f"{toml_key(setting['name'])} ="
    if value is not None:
        assignment = f"{assignment} {toml_value(value)}"
    elif setting["required"]:
        assignment = f"#{assignment}  # required: fill it in"
    else:
        assignment = f"#{assignment} {_default(setting['default'])}".rstrip()
    return [*_comment(_help(setting)), assignment]


def _needed(info: ProviderInfo, setting: Mapping[str, Any], variable: str) -> Any:
    """Return what to write for a setting that has no default, or None where only its user knows.

    Numbers and the like may come from a variable too.
    """
    kind = setting["type"]
    if kind.startswith("one of ") and "'" not in kind:  # there is no text among them
        return None
    if kind.startswith(("a list", "a table")):
        empty: Any = [] if kind.startswith("a list") else {}
        return empty if _is_allowed(info.config_class, setting["name"], empty) else None
    return variable


def _is_allowed(settings_class: Any, name: str, value: Any) -> bool:
    try:
        check_setting(settings_class, name, value)
    except CATCHABLE:  # it is refused, or the validator needs the other settings
        return False
    return True


def _default(value: Any) -> str:
    """Return a default as TOML, or nothing where TOML has no way to write it."""
    text = "" if value is None else toml_value(value)
    try:
        tomli.loads(f"value = {text}")
    except tomli.TOMLDecodeError:
        return ""
    return text


def _help(setting: Mapping[str, Any]) -> str:
    """Return what a setting is for, and what its value must be where the default does not show that."""
    is_shown = setting["default"] is not None and not setting["type"].startswith("one of")
    facts = [
        "" if is_shown else setting["type"],
        setting["limits"],
        "required" if setting["required"] else "",
    ]
    all_facts = ", ".join(filter(None, facts))
    return (
        f"{setting['help']} ({all_facts})" if setting["help"] and all_facts else setting["help"] or all_facts
    )


def _comment(text: str) -> list[str]:
    plain = "".join(char if char.isprintable() else " " for char in text)
    return textwrap.wrap(plain, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
