"""The plan of a build: its settings, the words, the providers that it may use, and where the deck goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from deckwright.builder.cost_limits import cost_limits, unknown_cost_limits
from deckwright.builder.settings import BuildSettings
from deckwright.builder.words import Word, load_words
from deckwright.config.loader import Config
from deckwright.diagnostics import Diagnostic
from deckwright.errors import BuildError, ConfigError, SettingError
from deckwright.registry import ProviderRegistry
from deckwright.store import ENVIRONMENT_VARIABLE, default_folder


@attrs.frozen
class Plan:
    """What a build would do."""

    deck: str
    is_named: bool  # whether somebody chose that name; else it is made from the word list's
    words: list[Word]
    repeated: int  # how many more the list held that are among the words already
    providers: Mapping[str, Mapping[str, Any]]  # by type and instance
    engine: str | None  # which calls the providers; None for threads of this process
    store: Path
    budget: float | None  # in US dollars; None for any amount
    daily_budget: float | None  # the same, for all builds of a day
    retry_failed: bool  # whether to ask again for what was refused before
    output: Path | None  # the file to write, when one was named
    warnings: tuple[Diagnostic, ...]


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
    """Read the words and decide what is to be built; arguments and errors as in `build_deck`."""
    config = registry.config
    settings = config.section("build", BuildSettings) if config else BuildSettings()
    pipeline = pipeline or settings.pipeline
    path = Path(words) if isinstance(words, (str, os.PathLike)) else None
    loaded, repeated = load_words(path or words, registry, pipeline, language or settings.language)  # type: ignore[arg-type]
    providers = registry.for_pipeline(pipeline)
    _require_sync_provider(registry, pipeline)
    title = path.stem.replace("_", " ") if path else "Deckwright"
    name = deck or settings.deck or title[:1].upper() + title[1:]
    target = Path(output) if output else None
    warnings = list(hidden_types(registry, pipeline))
    if target:
        _require_possible(target, path)
        if not any(provider.destination(name, target) for provider in providers["sync"].values()):
            message = f"{target} is not written: {', '.join(providers['sync'])} writes no file."
            warnings.append(Diagnostic("warning", "", message))
    if budget is not None and not budget >= 0:
        raise BuildError(f"A budget must be an amount of US dollars, not {budget}.")
    warnings += _check_cost_limits(providers)
    return Plan(
        deck=name,
        is_named=bool(deck or settings.deck),
        words=loaded,
        repeated=repeated,
        providers=providers,
        engine=settings.engine,
        store=store_folder(config, settings),
        budget=settings.budget if budget is None else budget,
        daily_budget=settings.daily_budget,
        retry_failed=retry_failed,
        output=target,
        warnings=tuple(warnings),
    )


def store_folder(config: Config | None, settings: BuildSettings) -> Path:
    """Return the folder of the store; a configured one is relative to the configuration's folder."""
    if settings.store is None or os.environ.get(ENVIRONMENT_VARIABLE):
        return default_folder()
    return (config.folder if config else Path()) / settings.store.expanduser()


def hidden_types(registry: ProviderRegistry, pipeline: str) -> Iterator[Diagnostic]:
    """Yield a note for each type that has providers, none of which a pipeline may use."""
    for type, seen in registry.for_pipeline(pipeline).items():
        if not seen and (hidden := registry[type]):
            openings = "; ".join(
                f"{instance} is open to {', '.join(registry.get_pipeline_assignments(type, instance))}"
                for instance in hidden
            )
            message = f"The pipeline {pipeline!r} has no provider of the type {type}: {openings}."
            yield Diagnostic("note", "", message)


def _require_sync_provider(registry: ProviderRegistry, pipeline: str) -> None:
    if not registry.for_pipeline(pipeline)["sync"]:
        reasons = [str(failure) for failure in registry.failures if failure.type == "sync"]
        message = (
            f"The pipeline {pipeline!r} has no provider of the type sync, so the deck cannot go anywhere."
        )
        raise BuildError(
            "\n".join([message, *reasons]),
            hint=f'A configuration adds one with [providers.sync.apkg] and pipelines = ["{pipeline}"].',
        )


def _check_cost_limits(providers: Mapping[str, Mapping[str, Any]]) -> Iterator[Diagnostic]:
    """Yield a warning for each unknown cost limit.

    Raises:
        ConfigError: One of them is no amount of money.
    """
    for type, instances in providers.items():
        for instance, provider in instances.items():
            where = f"providers.{type}.{instance}"
            try:
                cost_limits(provider)
            except SettingError as error:
                fault = Diagnostic("error", f"{where}.{error.key}", error.problem)
                raise ConfigError([fault]) from None
            for message in unknown_cost_limits(provider):
                yield Diagnostic("warning", where, message)


def _require_possible(output: Path, words: Path | None) -> None:
    """Find out before any media are generated that the deck's file is impossible."""
    if output.is_dir():
        raise BuildError(f"{output} is a folder; the deck needs the name of a file.")
    if not output.parent.is_dir():
        raise BuildError(f"{output} cannot be written: there is no folder {output.parent}.")
    if words and output.exists() and output.samefile(words):
        raise BuildError(f"{output} is the word list itself; the deck needs another file.")
