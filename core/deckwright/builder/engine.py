"""The engine of a build: the configured instance of a name, or else the provider of that name with no settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deckwright.errors import CATCHABLE, BuildError, DeckwrightError
from deckwright.providers.engine import Engine
from deckwright.registry import ProviderRegistry
from deckwright.tracebacks import diagnostic_of


@contextmanager
def started_engine(name: str | None, registry: ProviderRegistry) -> Iterator[Engine]:
    """Start an engine with the providers of a registry, and close it at the end; None uses threads of this process.

    Raises:
        UnknownProviderError: No engine has this name.
        BuildError: It cannot be started.
    """
    engine = Engine()
    if name is not None:
        engine = registry.get("engine", name) or registry.plugins.make("engine", name, {})
    try:
        try:
            engine.start(registry)
        except DeckwrightError:
            raise
        except CATCHABLE as error:
            problem = diagnostic_of(error, "", doing=f"The engine {name} cannot be started")
            raise BuildError(problem.message, hint=problem.hint or None) from None
        yield engine
    finally:
        registry.close_provider("engine", name or "", engine)
