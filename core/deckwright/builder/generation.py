"""Generation: one request to one provider, which always ends with a complete file or an error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import CATCHABLE, BadMediaError, BuildError, ProviderError
from deckwright.plugins.timeouts import PluginTimeoutError
from deckwright.providers.media import MediaRequest, MediaResult
from deckwright.toolkit.media_format import media_ending
from deckwright.tracebacks import as_provider_error, format_traceback

logger = logging.getLogger(__name__)


@attrs.frozen
class Generated:
    """A file that a provider has made, and that is what was asked for."""

    file: Path
    ending: str  # for its content, such as ".mp3"
    result: MediaResult  # as the provider returned it


class GenerationError(Exception):
    """A provider has made no file; `cost` is what it charged all the same, if it says so."""

    def __init__(self, error: ProviderError, cost: Any = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.cost = cost


def generate_file(
    generate: Callable[[MediaRequest], Any], request: MediaRequest, secrets: Iterable[str]
) -> Generated:
    """Have a provider make a file; `generate` calls it, and no error shows any of `secrets`.

    Raises:
        GenerationError: The provider has not made it.
        BuildError: The engine, which calls the provider, cannot work any more.
    """
    secrets = list(secrets)
    error: ProviderError
    cost = None
    try:
        result = generate(request)
        if not isinstance(result, MediaResult):
            error = BadMediaError(f"it returned {result.__class__.__name__}, not a MediaResult")
        elif not result.success:
            error = ProviderError(str(result.error or "no reason given"))
            if isinstance(result.failure, ProviderError):
                error = result.failure
            cost = result.metadata.get("cost") if isinstance(result.metadata, Mapping) else None
        elif result.file_path is None or not result.file_path.is_file():
            error = BadMediaError("it reported a file, but there is none")
        else:
            return Generated(result.file_path, media_ending(result.file_path, request.type), result)
    except BuildError:
        raise
    except PluginTimeoutError as overdue:
        error = ProviderError(overdue.message, hint=overdue.hint)
        error.is_unexpected = error.is_timeout = True
    except CATCHABLE as raised:
        logger.debug("%s", format_traceback(raised, secrets))
        error = raised if isinstance(raised, ProviderError) else as_provider_error(raised)
    error.redact(secrets)
    raise GenerationError(error, cost)
