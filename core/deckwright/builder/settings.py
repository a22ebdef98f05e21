"""The `[build]` section of a configuration, and all sections that have settings of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import attrs
from msgspec import Meta

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

    language: Annotated[str | None, Meta(description="the language of the words: es, pt-BR")] = attrs.field(
        default=None, validator=attrs.validators.optional(_is_language)
    )
    pipeline: Annotated[str, Meta(description="the pipeline of this build: it uses the providers in it")] = (
        "vocabulary"
    )
    deck: Annotated[str | None, Meta(description="the deck's name in Anki")] = None
    engine: Annotated[
        str | None, Meta(description="where providers do their work: dask; in this process, when not set")
    ] = None
    store: Annotated[
        Path | None,
        Meta(
            description="the folder for the sounds and pictures that were made or paid for; "
            "one for all of a user's decks, when not set"
        ),
    ] = None
    budget: Annotated[float, Meta(ge=0, description="US dollars that one build may spend")] | None = None
    daily_budget: (
        Annotated[float, Meta(ge=0, description="US dollars that all builds of a day may spend together")]
        | None
    ) = None


# What the JSON Schema and the reference of settings describe, by the section's name.
SECTIONS: dict[str, type[Any]] = {"plugins": PluginSettings, "build": BuildSettings}
