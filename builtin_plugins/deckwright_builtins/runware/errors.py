"""The errors in Runware's responses, of a whole request or of single tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeGuard

from deckwright import (
    AuthenticationError,
    BadMediaError,
    InvalidRequestError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    TransientError,
)
from deckwright.toolkit.http import Response
from deckwright.toolkit.images import content_policy_error, image_error_for

# The outcome of a task: its part of the response, or an error.
Outcome: TypeAlias = "dict[str, Any] | ProviderError"


def request_error(response: Response) -> ProviderError | None:
    """Return the error of a whole request, not of single tasks: the body says more than the status."""
    try:
        answer = response.json()
    except TransientError:
        return image_error_for(response)
    if not isinstance(answer, dict):
        return image_error_for(response) or ProviderError("Runware sent a response in an unknown form.")
    failures = list(dicts(answer.get("errors")))
    if not failures:
        return image_error_for(response)
    if answer.get("data"):
        return None
    errors = [task_error(failure, response) for failure in failures]
    is_whole = not any(failure.get("taskUUID") for failure in failures)
    # If all tasks are limited, so are other requests, and the client makes them wait.
    return errors[0] if is_whole or all(isinstance(error, RateLimitedError) for error in errors) else None


def task_error(failure: Mapping[str, Any], response: Response) -> ProviderError:
    """Return the error for one entry of `errors`; a temporary one with a time to wait is a rate limit."""
    error = _by_code(failure, response)
    if isinstance(error, TransientError) and not error.reply_lost and response.retry_after is not None:
        return RateLimitedError(error.message, retry_after=response.retry_after)
    return error


def _by_code(failure: Mapping[str, Any], response: Response) -> ProviderError:
    code = str(failure.get("code") or "")
    message = f"{failure.get('message') or 'no reason given'} ({code or 'no code'}{_limits(failure)})"
    family = code.lower()
    if family.endswith(("credits", "quota", "balance")):
        return QuotaError(message, hint="Add credits to the account.")
    if family.endswith("apikey"):
        return AuthenticationError(message, hint="Check api_key.")
    if family.endswith("ratelimit"):
        return RateLimitedError(message, retry_after=response.retry_after)
    if "safety" in family or "nsfw" in family:
        return content_policy_error(message)
    if family.startswith("timeout"):
        return TransientError(message, reply_lost=True)
    if family.startswith("provider"):
        return TransientError(message, reply_lost=is_lost(image_error_for(response) or {}))
    if family.startswith(("invalid", "missing", "unsupported")):
        return InvalidRequestError(message)
    return image_error_for(response, message) or ProviderError(message)


def is_lost(outcome: Outcome) -> TypeGuard[TransientError]:
    """Return whether a task may have been done and charged although it failed here."""
    return isinstance(outcome, TransientError) and outcome.reply_lost


def is_unknown_task(failure: Mapping[str, Any]) -> bool:
    """Return whether the service says that it does not know a task."""
    return str(failure.get("code")).lower().endswith("notfound")


def unknown_outcome(reason: ProviderError) -> TransientError:
    """Return the error of a task that must not be sent again."""
    return TransientError(
        f"It is not known whether this picture was made; it may have been charged. {reason.message}",
        reply_lost=True,
        hint=reason.hint,
    )


def charged_error(reason: ProviderError, *, is_old: bool) -> ProviderError:
    """Return the error of a picture that was made and charged, but could not be downloaded.

    Args:
        reason: Why not.
        is_old: Whether it may have been made some time ago, for a request that was sent before.
    """
    if isinstance(reason, TransientError | RateLimitedError):
        # The same request, with the same UUID, downloads it later and does not pay for another one.
        message = f"The picture was made and charged, but could not be downloaded. {reason.message}"
        return TransientError(message, reply_lost=True, hint=reason.hint)
    if is_old:
        return BadMediaError(
            f"The picture was made and charged, but Runware does not have it any more. {reason.message}"
        )
    return reason


def _limits(failure: Mapping[str, Any]) -> str:
    """Return the limits of the wrong parameter, for a message."""
    parameter = failure.get("parameter")
    names = ", ".join(map(str, parameter)) if isinstance(parameter, list) else parameter
    facts = [
        f"{key} {failure[key]}" for key in ("min", "max", "multiplier", "allowedValues") if key in failure
    ]
    return "".join(f"; {fact}" for fact in (names, *facts) if fact)


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in a list; nothing if it is not a list."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
