"""Asking one provider for one sound or picture: whatever it does, there is a whole file or an error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import CATCHABLE, BadMediaError, BuildError, ProviderError
from deckwright.plugins.timeouts import OverdueError
from deckwright.providers.media import MediaRequest, MediaResult
from deckwright.toolkit.media_format import media_ending
from deckwright.tracebacks import as_provider_error, format_traceback

logger = logging.getLogger(__name__)


@attrs.frozen
class Delivered:
    """What a provider made: a file that is what was asked for.

    Attributes:
        file: The file.
        ending: The ending for its content, such as `".mp3"`.
        result: The result, as the provider gave it.
    """

    file: Path
    ending: str
    result: MediaResult


@attrs.frozen
class Failed:
    """What a provider did not make.

    Attributes:
        error: Why.
        cost: What it charged all the same, in US dollars, where it says so.
    """

    error: ProviderError
    cost: Any = None


def ask(
    generate: Callable[[MediaRequest], Any], request: MediaRequest, secrets: Iterable[str]
) -> Delivered | Failed:
    """Have a provider try.

    Args:
        generate: Calls the provider.
        request: What is asked for.
        secrets: What must not be shown, whatever it says.

    Raises:
        BuildError: The engine, which calls the provider, can do nothing any more.
    """
    secrets = list(secrets)
    failure: ProviderError
    cost = None
    try:
        result = generate(request)
        if not isinstance(result, MediaResult):
            failure = BadMediaError(f"it returned {result.__class__.__name__}, not a MediaResult")
        elif not result.success:
            failure = ProviderError(str(result.error or "no reason given"))
            if isinstance(result.failure, ProviderError):
                failure = result.failure
            cost = result.metadata.get("cost") if isinstance(result.metadata, Mapping) else None
        elif result.file_path is None or not result.file_path.is_file():
            failure = BadMediaError("it says that it made a file, and there is none")
        else:
            return Delivered(result.file_path, media_ending(result.file_path, request.type), result)
    except BuildError:
        raise
    except OverdueError as error:
        failure = ProviderError(error.message, hint=error.hint)
        failure.is_unforeseen = True
        failure.is_overdue = True
    except CATCHABLE as error:
        logger.debug("%s", format_traceback(error, secrets))
        failure = error if isinstance(error, ProviderError) else as_provider_error(error)
    failure.redact(secrets)
    return Failed(failure, cost)
