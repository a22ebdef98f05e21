"""What a build is to do: its settings, the words it reads, the providers it may see, and where the deck goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from deckwright.builder.provider_handles import daily_limits, odd_limits
from deckwright.builder.settings import BuildSettings
from deckwright.builder.words import Word, language_for, make_words, read_rows
from deckwright.config.loader import Config
from deckwright.errors import BuildError, ConfigError, DataError, SettingError
from deckwright.registry import ProviderRegistry
from deckwright.store import ENVIRONMENT_VARIABLE, default_folder


@attrs.frozen
class Plan:
    """What a build would do.

    Attributes:
        deck: The deck's name.
        is_named: Whether somebody chose that name; else it is made from the word list's.
        words: The words.
        repeated: How many more the list held that stood in it already.
        providers: What the build may see: type, then instance, to provider.
        engine: Where they do their work; None for here.
        store: The folder for what is made and paid for.
        budget: How many US dollars the build may spend; None for any amount.
        daily_budget: How many all builds of a day may spend together; None for any amount.
        retry_failed: Whether to ask again for what was refused before.
        output: The file to write, when one was named.
        warnings: What is odd about it, and may not be meant.
    """

    deck: str
    is_named: bool
    words: list[Word]
    repeated: int
    providers: Mapping[str, Mapping[str, Any]]
    engine: str | None
    store: Path
    budget: float | None = None
    daily_budget: float | None = None
    retry_failed: bool = False
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
    budget: float | None = None,
    retry_failed: bool = False,
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
    if budget is not None and not budget >= 0:
        raise BuildError(f"A budget is an amount of US dollars, not {budget}.")
    for type, instances in providers.items():
        for instance, provider in instances.items():
            given = getattr(provider, "config", {})
            where = f"providers.{type}.{instance}"
            try:
                daily_limits(given)
            except SettingError as error:
                raise ConfigError(f"{where}.{error.key}: {error.problem}") from None
            warnings += [f"{where}: {remark}" for remark in odd_limits(given)]
    return Plan(
        deck=name,
        is_named=bool(deck or settings.deck),
        words=made,
        repeated=repeated,
        providers=providers,
        engine=settings.engine,
        store=store_of(config, settings),
        budget=settings.budget if budget is None else budget,
        daily_budget=settings.daily_budget,
        retry_failed=retry_failed,
        output=target,
        warnings=tuple(warnings),
    )


def store_of(config: Config | None, settings: BuildSettings) -> Path:
    """Return the folder for what is made and paid for: the configured one, from the configuration's folder on."""
    if settings.store is None or os.environ.get(ENVIRONMENT_VARIABLE):
        return default_folder()
    return (config.folder if config else Path()) / settings.store.expanduser()


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
