"""The JSON Schema of the configuration, with all that the loaded plugins add: for editors, and for other programs.

It says what can be said of each place by itself. What only `deckwright check` finds: limits that a plugin's own
function sets, numbers written as text, and what depends on other places, such as a section `[apis.NAME]` that no
provider reads. Its words are those that the drafts of JSON Schema have shared since draft 7, which is what some
editors know.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from deckwright.config.settings import describe_settings, readable_types
from deckwright.errors import CATCHABLE
from deckwright.hooks import ProviderInfo
from deckwright.plugins import Plugins

Schema = dict[str, Any]
# Type, then name, to what is described.
Offers = dict[str, dict[str, ProviderInfo]]

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:[^}]*)?\}"
_WHOLE = r"[+-]?[0-9]+(_[0-9]+)*"
# A value that is no text may be written as one: it may come from the environment.
_TEXTS = {
    "variable": (_VARIABLE, 'text with a variable of the environment: "${NAME}" or "${NAME:a default}"'),
    "boolean": (rf"^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$|{_VARIABLE}", '"true" or "false" as text'),
    "integer": (rf"^\s*{_WHOLE}\s*$|{_VARIABLE}", "a whole number as text"),
    "number": (
        rf"^\s*({_WHOLE}\.?|[+-]?[0-9]*\.[0-9]+)([eE][+-]?[0-9]+)?\s*$|{_VARIABLE}",
        "a number as text",
    ),
}
# What a Python regular expression may have that those of JSON Schema do not.
_ONLY_IN_PYTHON = re.compile(r"\(\?(?![:=!]|<[=!])|\\[AZ]|[*+?}]\+")


def configuration_schema(plugins: Plugins, tables: Mapping[str, type[Any]]) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a configuration that is used with these plugins.

    A provider's settings are those of its described class; settings that no class describes may be anything. As long
    as every plugin describes what it makes, there are no other providers than those.

    Args:
        plugins: The plugins.
        tables: The attrs class of each other section, by its name.
    """
    offers: Offers = {type: {} for type in plugins.types}
    for info, _ in plugins.describe():
        offers.setdefault(info.type, {})[info.name] = info
    # A plugin that describes nothing may make a provider of any name.
    is_open = any(
        record.status == "loaded" and "register_media_provider" in record.hooks and not record.offers
        for record in plugins.records
    )
    definitions: Schema = {
        f"text.{name}": {"type": "string", "pattern": pattern, "description": description}
        for name, (pattern, description) in _TEXTS.items()
    }
    definitions["pipelines"] = {
        "description": 'Which builds may see it: their names, or ["*"] for every one.',
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "minItems": 1,
    }
    for type, infos in offers.items():
        definitions[f"instance.{type}"] = _instance_by_type(type, infos, is_open)
        for name, info in infos.items():
            definitions[f"provider.{type}.{name}"] = _provider(info)
    sections: Schema = {
        "$schema": {"description": "Where this schema is, for editors.", "type": "string"},
        "providers": {
            "description": "The providers, by type and instance. Within a type, they are asked in this order.",
            "type": "object",
            "properties": {
                type: _instances(type, infos, plugins.types[type].summary) for type, infos in offers.items()
            },
            "additionalProperties": False,
            "minProperties": 1,
            # Some type has some instance.
            "not": {"additionalProperties": {"maxProperties": 0}},
        },
        "apis": _apis(offers, definitions, is_open),
        **{name: _section(settings_class) for name, settings_class in tables.items()},
    }
    for type, infos in offers.items():
        shared = {name: _ref("provider", type, name) for name in infos}
        sections[f"{type}_generation"] = {
            "description": f"Settings that providers of the type {type} share, as in [apis].",
            "type": "object",
            "properties": {"providers": {"type": "object", "properties": shared}},
        }
    return {
        "$schema": DRAFT,
        "title": "Configuration of Deckwright",
        "type": "object",
        "properties": sections,
        "required": ["providers"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _ref(*parts: str) -> Schema:
    pointer = ".".join(parts).replace("~", "~0").replace("/", "~1")
    return {"$ref": f"#/$defs/{quote(pointer, safe='~')}"}


def _instances(type: str, infos: Mapping[str, ProviderInfo], summary: str) -> Schema:
    """Return the schema of `[providers.TYPE]`: an instance's key is its provider's name, unless its `type` says one."""
    return {
        "description": f"{summary[:1].upper()}{summary[1:]}." if summary else f"The type {type}.",
        "type": "object",
        "properties": {
            name: {
                "description": info.summary or f"The provider {name}.",
                "type": "object",
                "required": ["pipelines"],
                "if": {"properties": {"type": {"const": type}}},
                "then": _ref("provider", type, name),
                "else": _ref("instance", type),
            }
            for name, info in infos.items()
        },
        "additionalProperties": _ref("instance", type),
    }


def _instance_by_type(type: str, infos: Mapping[str, ProviderInfo], is_open: bool) -> Schema:
    """Return the schema of an instance whose `type` names its provider."""
    names = [name for name in infos if name != type]  # that would be the section's own type, which names none
    which: Schema = {"description": "Which provider it is.", "type": "string", "minLength": 1}
    which["examples" if is_open else "enum"] = names
    return {
        "type": "object",
        "properties": {"type": which, "pipelines": _ref("pipelines")},
        "required": ["pipelines"] if is_open else ["type", "pipelines"],
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": _ref("provider", type, name),
            }
            for name in names
        ],
    }


def _provider(info: ProviderInfo) -> Schema:
    """Return the schema of a provider's settings, wherever they stand: in an instance, or shared among several."""
    own: Schema = {
        "type": {"description": "Which provider it is; the instance's key, when not set.", "type": "string"},
        "pipelines": _ref("pipelines"),
    }
    schema: Schema = {"title": f"{info.type}/{info.name}", "description": info.summary, "type": "object"}
    if info.config_class is None:
        return {**schema, "properties": own}
    try:
        settings = _settings(info.config_class)
    except CATCHABLE:  # a stranger's class, of which Python cannot tell the types, say
        return {**schema, "properties": own}
    return {**schema, "properties": {**settings, **own}, "additionalProperties": False}


def _apis(offers: Offers, definitions: Schema, is_open: bool) -> Schema:
    """Return the schema of `[apis]`, in which a name may stand for providers of several types."""
    by_name: dict[str, list[Schema]] = {}
    by_setting: dict[str, list[Schema]] = {}
    for type, infos in offers.items():
        for name in infos:
            by_name.setdefault(name, []).append(_ref("provider", type, name))
            for setting in definitions[f"provider.{type}.{name}"]["properties"]:
                reference = _ref("provider", type, name)["$ref"]
                by_setting.setdefault(setting, []).append({"$ref": f"{reference}/properties/{setting}"})
    base = {
        "description": "Settings that all providers share which know them.",
        "type": "object",
        "properties": {name: _any_of(meanings) for name, meanings in by_setting.items()},
    }
    return {
        "description": "Settings that all instances of a provider share, by its name.",
        "type": "object",
        "properties": {**{name: _any_of(providers) for name, providers in by_name.items()}, "base": base},
        "additionalProperties": {"type": "object"} if is_open else False,
    }


def _section(settings_class: type[Any]) -> Schema:
    return {
        "description": inspect.getdoc(settings_class) or "",
        "type": "object",
        "properties": _settings(settings_class),
        "additionalProperties": False,
    }


def _settings(settings_class: Any) -> Schema:
    """Return the schema of each setting of an attrs class, by name."""
    hints = readable_types(settings_class)
    settings: Schema = {}
    for described in describe_settings(settings_class):
        name = described["name"]
        settings[name] = {"description": _description(described), **_any_of(_ways(_schema_of(hints[name])))}
        if described["secret"]:
            settings[name]["writeOnly"] = True
        elif not described["required"]:
            settings[name] |= _default(described["default"])
    return settings


def _description(described: Mapping[str, Any]) -> str:
    text = described["help"] or described["type"]
    text = f"{text[:1].upper()}{text[1:].rstrip('.')}."
    if described["required"]:
        text += " Required."
    if described["secret"]:
        text += ' A secret: set it in the environment, and write "${NAME_OF_THE_VARIABLE}" here.'
    return text


def _default(value: Any) -> Schema:
    if isinstance(value, Path):
        value = str(value)
    try:
        return {"default": json.loads(json.dumps(value, allow_nan=False))}
    except (TypeError, ValueError):
        return {}


def _schema_of(annotation: Any) -> Schema:
    """Return the schema of a type with its limits; an empty one, which allows anything, for what is not built in."""
    (schema,), components = msgspec.json.schema_components([annotation], schema_hook=_path_schema)
    return {} if components else schema


def _path_schema(kind: type[Any]) -> Schema:
    return {"type": "string", "minLength": 1} if kind is Path else {}


def _any_of(ways: list[Schema]) -> Schema:
    return {"anyOf": ways} if len(ways) > 1 else dict(*ways)


def _ways(schema: Schema) -> list[Schema]:
    """Return the ways to write a value of a schema, as `read_settings` reads it; none when anything will do."""
    schema = {name: part for name, part in schema.items() if name != "description"}
    if "anyOf" in schema:
        return [way for part in schema["anyOf"] for way in _ways(part)]
    if "items" in schema:
        schema["items"] = _any_of(_ways(schema["items"]))
    if "pattern" in schema and _ONLY_IN_PYTHON.search(schema["pattern"]):
        del schema["pattern"]
    kind = schema.get("type")
    if kind in ("boolean", "integer", "number"):
        return [schema, _ref("text", kind)]
    if (kind == "string" and len(schema) > 1) or any(
        isinstance(value, str) for value in schema.get("enum", ())
    ):
        return [schema, _ref("text", "variable")]
    return [schema] if schema else []
