"""What a build is to do: its settings, the words it reads, the providers it may see, and where the deck goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from deckwright.build.words import Word, language_for, make_words, read_rows
from deckwright.errors import BuildError, DataError
from deckwright.languages import language_tag
from deckwright.registry import ProviderRegistry


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


@attrs.frozen
class Plan:
    """What a build would do.

    Attributes:
        deck: The deck's name.
        is_named: Whether somebody chose that name; else it is made from the word list's.
        words: The words.
        repeated: How many more the list held that stood in it already.
        providers: What the build may see: type, then instance, to provider.
        output: The file to write, when one was named.
        warnings: What is odd about it, and may not be meant.
    """

    deck: str
    is_named: bool
    words: list[Word]
    repeated: int
    providers: Mapping[str, Mapping[str, Any]]
    output: Path | None = None
    warnings: tuple[str, ...] = ()


def make_plan(
    words: str | os.PathLike[str] | Iterable[Any],
    registry: ProviderRegistry,
    *,
    language: str | None = None,
    output: str | os.PathLike[str] | None = None,
    deck: str | None = None,
    pipeline: str | None = None,
) -> Plan:
    """Read the words and settle what is to be built; arguments and errors as in `build_deck`."""
    config = registry.config
    settings = config.section("build", BuildSettings) if config else BuildSettings()
    pipeline = pipeline or settings.pipeline
    path = Path(words) if isinstance(words, (str, os.PathLike)) else None
    if isinstance(words, Mapping):
        raise DataError("The words are a table; a word list is a list, of text or of tables.")
    rows = read_rows(path, registry, pipeline) if path else words
    spoken = language_for(path, language, settings.language)
    made, repeated = make_words(rows, spoken, str(path or "the word list"))  # type: ignore[arg-type]
    name = deck or settings.deck or (_title(path) if path else "Deckwright")
    providers = registry.for_pipeline(pipeline)
    if not providers["sync"]:
        reasons = "\n".join(str(failure) for failure in registry.failures if failure.type == "sync")
        raise BuildError(
            f"The pipeline {pipeline!r} has no place for a deck to go to: no provider of the type sync."
            + (f"\n{reasons}" if reasons else ""),
            hint=f'A configuration adds one with [providers.sync.apkg] and pipelines = ["{pipeline}"].',
        )
    target = Path(output) if output else None
    if target:
        _require_writable(target, path)
    warnings = list(unseen(registry, pipeline))
    if target and not any(provider.destination(name, target) for provider in providers["sync"].values()):
        warnings.append(f"{target} is not written: {', '.join(providers['sync'])} writes no file.")
    return Plan(name, bool(deck or settings.deck), made, repeated, providers, target, tuple(warnings))


def unseen(registry: ProviderRegistry, pipeline: str) -> Iterator[str]:
    """Yield a remark for each type of which there are providers, and none that a pipeline may see."""
    for type, seen in registry.for_pipeline(pipeline).items():
        if not seen and (hidden := registry[type]):
            openings = "; ".join(
                f"{instance} is open to {', '.join(registry.get_pipeline_assignments(type, instance))}"
                for instance in hidden
            )
            yield f"The pipeline {pipeline!r} sees no provider of the type {type}: {openings}."


def _title(path: Path) -> str:
    name = path.stem.replace("_", " ")
    return name[:1].upper() + name[1:]


def _require_writable(output: Path, words: Path | None) -> None:
    """Find out before any media are made, not after, that the deck would have no place."""
    if output.is_dir():
        raise BuildError(f"{output} is a folder; the deck needs the name of a file.")
    if not output.parent.is_dir():
        raise BuildError(f"{output} cannot be written: there is no folder {output.parent}.")
    if words and output.exists() and output.samefile(words):
        raise BuildError(f"{output} is the word list itself; the deck needs another file.")
