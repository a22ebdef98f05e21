"""The `[build]` section of a configuration, and all sections that have settings of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import DataError
from deckwright.plugins import PluginSettings
from deckwright.toolkit.languages import language_tag


def _is_language(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    try:
        language_tag(value)
    except DataError:
        raise ValueError('a language is a code, such as "es" or "pt-BR", or an English name') from None


@attrs.define
class BuildSettings:
    """The `[build]` section of a configuration."""

    language: str | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(_is_language),
        metadata={"help": "the language of the words: es, pt-BR"},
    )
    pipeline: str = attrs.field(default="vocabulary", metadata={"help": "which providers the build may see"})
    deck: str | None = attrs.field(default=None, metadata={"help": "the deck's name in Anki"})
    engine: str | None = attrs.field(
        default=None, metadata={"help": "where providers do their work: dask; in this process, when not set"}
    )
    store: Path | None = attrs.field(
        default=None,
        metadata={
            "help": "the folder for what is made and paid for; one for all of a user's decks, when not set"
        },
    )
    budget: float | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(attrs.validators.ge(0)),
        metadata={"help": "US dollars that one build may spend"},
    )
    daily_budget: float | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(attrs.validators.ge(0)),
        metadata={"help": "US dollars that all builds of a day may spend together"},
    )


# What the JSON Schema and the reference of settings describe, by the section's name.
SECTIONS: dict[str, type[Any]] = {"plugins": PluginSettings, "build": BuildSettings}
