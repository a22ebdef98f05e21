"""The errors in Runware's responses, of a whole request or of single tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeGuard

from deckwright import errors
from deckwright.toolkit.http import Response
from deckwright.toolkit.images import content_policy_error, image_error_for

# The outcome of a task: its part of the response, or an error.
Outcome: TypeAlias = "dict[str, Any] | errors.ProviderError"


def request_error(response: Response) -> errors.ProviderError | None:
    """Return the error of a whole request, not of single tasks: the body says more than the status."""
    try:
        answer = response.json()
    except errors.TransientError:
        return image_error_for(response)
    if not isinstance(answer, dict):
        return image_error_for(response) or errors.ProviderError(
            "Runware sent a response in an unknown form."
        )
    failures = list(dicts(answer.get("errors")))
    if not failures:
        return image_error_for(response)
    if answer.get("data"):
        return None
    found = [task_error(failure, response) for failure in failures]
    is_whole = not any(failure.get("taskUUID") for failure in failures)
    # If all tasks are limited, so are other requests, and the client makes them wait.
    is_limited = all(isinstance(error, errors.RateLimitedError) for error in found)
    return found[0] if is_whole or is_limited else None


def task_error(failure: Mapping[str, Any], response: Response) -> errors.ProviderError:
    """Return the error for one entry of `errors`; a temporary one with a time to wait is a rate limit."""
    error = _by_code(failure, response)
    if isinstance(error, errors.TransientError) and not error.reply_lost and response.retry_after is not None:
        return errors.RateLimitedError(error.message, retry_after=response.retry_after)
    return error


def _by_code(failure: Mapping[str, Any], response: Response) -> errors.ProviderError:
    code = str(failure.get("code") or "")
    message = f"{failure.get('message') or 'no reason given'} ({code or 'no code'}{_limits(failure)})"
    family = code.lower()
    if family.endswith(("credits", "quota", "balance")):
        return errors.QuotaError(message, hint="Add credits to the account.")
    if family.endswith("apikey"):
        return errors.AuthenticationError(message, hint="Check api_key.")
    if family.endswith("ratelimit"):
        return errors.RateLimitedError(message, retry_after=response.retry_after)
    if "safety" in family or "nsfw" in family:
        return content_policy_error(message)
    if family.startswith("timeout"):
        return errors.TransientError(message, reply_lost=True)
    if family.startswith("provider"):
        return errors.TransientError(message, reply_lost=is_lost(image_error_for(response) or {}))
    if family.startswith(("invalid", "missing", "unsupported")):
        return errors.InvalidRequestError(message)
    return image_error_for(response, message) or errors.ProviderError(message)


def is_lost(outcome: Outcome) -> TypeGuard[errors.TransientError]:
    """Return whether a task may have been done and charged although it failed here."""
    return isinstance(outcome, errors.TransientError) and outcome.reply_lost


def is_unknown_task(failure: Mapping[str, Any]) -> bool:
    """Return whether the service says that it does not know a task."""
    return str(failure.get("code")).lower().endswith("notfound")


def unknown_outcome(reason: errors.ProviderError) -> errors.TransientError:
    """Return the error of a task that must not be sent again."""
    return errors.TransientError(
        f"It is not known whether this picture was made; it may have been charged. {reason.message}",
        reply_lost=True,
        hint=reason.hint,
    )


def charged_error(reason: errors.ProviderError, *, is_old: bool) -> errors.ProviderError:
    """Return the error of a picture that was charged, some time ago if `is_old`, but could not be downloaded."""
    if isinstance(reason, errors.TransientError | errors.RateLimitedError):
        # The same request, with the same UUID, downloads it later and does not pay for another one.
        message = f"The picture was made and charged, but could not be downloaded. {reason.message}"
        return errors.TransientError(message, reply_lost=True, hint=reason.hint)
    if is_old:
        return errors.BadMediaError(
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
