"""The JSON Schema of the configuration, with all that the loaded plugins add: for editors, and for other programs.

It describes each setting by itself. Only `deckwright check` finds the rest: limits that a plugin's own function sets,
numbers written as text, and what depends on other settings, such as a section `[apis.NAME]` that no provider reads.
It uses the keywords that the drafts of JSON Schema have shared since draft 7, which is what some editors know.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from deckwright.config.settings import annotations_of, describe_settings
from deckwright.errors import CATCHABLE
from deckwright.hooks import ProviderInfo
from deckwright.plugins import Plugins

Schema = dict[str, Any]
# Type, then name, to what is described.
Offers = dict[str, dict[str, ProviderInfo]]

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:[^}]*)?\}"
_WHOLE = r"[+-]?[0-9]+(_[0-9]+)*"
_NUMBER = rf"({_WHOLE}\.?|[+-]?[0-9]*\.[0-9]+)([eE][+-]?[0-9]+)?"
# Values of other types may be written as text, since they may come from the environment.
_TEXTS = {
    "variable": (_VARIABLE, 'text with a variable of the environment: "${NAME}" or "${NAME:a default}"'),
    "boolean": (rf"^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$|{_VARIABLE}", '"true" or "false" as text'),
    "integer": (rf"^\s*{_WHOLE}\s*$|{_VARIABLE}", "a whole number as text"),
    "number": (rf"^\s*{_NUMBER}\s*$|{_VARIABLE}", "a number as text"),
}
_PIPELINES: Schema = {
    "description": 'The builds that may use it: names of pipelines, or ["*"] for all.',
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
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
    definitions = _definitions(offers, is_open)
    instances = {type: _instances(type, infos, plugins.types[type].summary) for type, infos in offers.items()}
    sections: Schema = {
        "$schema": {"description": "Where this schema is, for editors.", "type": "string"},
        "providers": {
            **_table(
                "The providers, by type and instance. Those of a type are used in this order.", instances
            ),
            # Some type has some instance.
            "minProperties": 1,
            "not": {"additionalProperties": {"maxProperties": 0}},
        },
        "apis": _apis(offers, definitions, is_open),
    }
    for name, settings_class in tables.items():
        sections[name] = _table(inspect.getdoc(settings_class) or "", _settings(settings_class))
    for type, infos in offers.items():
        description = f"Settings that providers of the type {type} share, as in [apis]."
        providers = {name: _ref("provider", type, name) for name in infos}
        shared = _table("By provider.", providers, others=True)
        sections[f"{type}_generation"] = _table(description, {"providers": shared}, others=True)
    return {
        "$schema": DRAFT,
        "title": "Configuration of Deckwright",
        **_table("What a build uses.", sections),
        "required": ["providers"],
        "$defs": definitions,
    }


def _table(description: str, properties: Schema, others: bool | Schema = False) -> Schema:
    """Return the schema of a table with these keys; `others` is that of any other key."""
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": others,
    }


def _ref(*parts: str) -> Schema:
    pointer = ".".join(parts).replace("~", "~0").replace("/", "~1")
    return {"$ref": f"#/$defs/{quote(pointer, safe='~')}"}


def _definitions(offers: Offers, is_open: bool) -> Schema:
    definitions: Schema = {"pipelines": _PIPELINES}
    for name, (pattern, description) in _TEXTS.items():
        definitions[f"text.{name}"] = {"type": "string", "pattern": pattern, "description": description}
    for type, infos in offers.items():
        definitions[f"instance.{type}"] = _instance_by_type(type, infos, is_open)
        for name, info in infos.items():
            definitions[f"provider.{type}.{name}"] = _provider(info)
    return definitions


def _instances(type: str, infos: Mapping[str, ProviderInfo], summary: str) -> Schema:
    """Return the schema of `[providers.TYPE]`: an instance's key names its provider, unless its `type` does."""
    by_key = {
        name: {
            "description": info.summary or f"The provider {name}.",
            "type": "object",
            "required": ["pipelines"],
            "if": {"properties": {"type": {"const": type}}},
            "then": _ref("provider", type, name),
            "else": _ref("instance", type),
        }
        for name, info in infos.items()
    }
    description = f"{summary[:1].upper()}{summary[1:]}." if summary else f"The type {type}."
    return _table(description, by_key, others=_ref("instance", type))


def _instance_by_type(type: str, infos: Mapping[str, ProviderInfo], is_open: bool) -> Schema:
    """Return the schema of an instance whose `type` names its provider."""
    names = [name for name in infos if name != type]  # the section's own type names no provider
    which: Schema = {"description": "Which provider it is.", "type": "string", "minLength": 1}
    which["examples" if is_open else "enum"] = names
    by_name = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": _ref("provider", type, name),
        }
        for name in names
    ]
    return {
        "type": "object",
        "properties": {"type": which, "pipelines": _ref("pipelines")},
        "required": ["pipelines"] if is_open else ["type", "pipelines"],
        "allOf": by_name,
    }


def _provider(info: ProviderInfo) -> Schema:
    """Return the schema of a provider's settings, wherever they stand: in an instance, or shared by several."""
    own: Schema = {
        "type": {"description": "Which provider it is; the instance's key, when not set.", "type": "string"},
        "pipelines": _ref("pipelines"),
    }
    settings: Schema | None = None
    if info.config_class is not None:
        with suppress(*CATCHABLE):  # a third-party class, of which Python cannot resolve the types
            settings = _settings(info.config_class)
    schema = _table(info.summary, {**(settings or {}), **own}, others=settings is None)
    return {"title": f"{info.type}/{info.name}", **schema}


def _apis(offers: Offers, definitions: Schema, is_open: bool) -> Schema:
    """Return the schema of `[apis]`, in which a name may stand for providers of several types."""
    by_name: dict[str, list[Schema]] = defaultdict(list)
    by_setting: dict[str, list[Schema]] = defaultdict(list)
    for type, infos in offers.items():
        for name in infos:
            reference = _ref("provider", type, name)
            by_name[name].append(reference)
            for setting in definitions[f"provider.{type}.{name}"]["properties"]:
                by_setting[setting].append({"$ref": f"{reference['$ref']}/properties/{setting}"})
    base = {setting: _any_of(references) for setting, references in by_setting.items()}
    providers = {name: _any_of(references) for name, references in by_name.items()}
    providers["base"] = _table("Settings for every provider that has them.", base, others=True)
    description = "Settings that all instances of a provider share, by its name."
    return _table(description, providers, others={"type": "object"} if is_open else False)


def _settings(settings_class: Any) -> Schema:
    """Return the schema of each setting of an attrs class, by name."""
    hints = annotations_of(settings_class)
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
