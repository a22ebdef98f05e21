"""What Runware's answers say: which errors they hold, of the whole request or of single tasks, and what these mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeGuard

from deckwright import (
    AuthenticationError,
    BadMediaError,
    ContentPolicyError,
    InvalidRequestError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    TransientError,
)
from deckwright.toolkit.http import Reply
from deckwright.toolkit.images import painting_error

# What became of a task: the part of the answer that is about it, or why there is none.
Outcome: TypeAlias = "dict[str, Any] | ProviderError"


def whole_error(reply: Reply) -> ProviderError | None:
    """Return the error of a whole request, not those of some tasks: the body says more than the status."""
    try:
        answer = reply.json()
    except TransientError:
        return painting_error(reply)
    if not isinstance(answer, dict):
        return painting_error(reply) or ProviderError("Runware answered in a form that is not known.")
    failures = list(dicts(answer.get("errors")))
    if not failures:
        return painting_error(reply)
    if answer.get("data"):
        return None
    errors = [task_error(failure, reply) for failure in failures]
    is_whole = not any(failure.get("taskUUID") for failure in failures)
    # When all come too soon, other requests would do so too, and the client has them wait.
    return errors[0] if is_whole or all(isinstance(error, RateLimitedError) for error in errors) else None


def task_error(failure: Mapping[str, Any], reply: Reply) -> ProviderError:
    """Return the error for one entry of `errors`; one that passes after a time that the service names is a limit."""
    error = _by_code(failure, reply)
    if isinstance(error, TransientError) and not error.reply_lost and reply.retry_after is not None:
        return RateLimitedError(error.message, retry_after=reply.retry_after)
    return error


def _by_code(failure: Mapping[str, Any], reply: Reply) -> ProviderError:
    code = str(failure.get("code") or "")
    message = f"{failure.get('message') or 'no reason given'} ({code or 'no code'}{_limits(failure)})"
    family = code.lower()
    if family.endswith(("credits", "quota", "balance")):
        return QuotaError(message, hint="Add credits to the account.")
    if family.endswith("apikey"):
        return AuthenticationError(message, hint="Check api_key.")
    if family.endswith("ratelimit"):
        return RateLimitedError(message, retry_after=reply.retry_after)
    if "safety" in family or "nsfw" in family:
        return ContentPolicyError(message, hint="Reword the prompt, or leave this word without a picture.")
    if family.startswith("timeout"):
        return TransientError(message, reply_lost=True)
    if family.startswith("provider"):
        return TransientError(message, reply_lost=is_lost(painting_error(reply) or {}))
    if family.startswith(("invalid", "missing", "unsupported")):
        return InvalidRequestError(message)
    return painting_error(reply, message) or ProviderError(message)


def is_lost(outcome: Outcome) -> TypeGuard[TransientError]:
    """Whether a task may have been carried out, and charged, all the same."""
    return isinstance(outcome, TransientError) and outcome.reply_lost


def denies(failure: Mapping[str, Any]) -> bool:
    """Whether the service says that there is no such task."""
    return str(failure.get("code")).lower().endswith("notfound")


def unknown(reason: ProviderError) -> TransientError:
    """Return the error of a task that must not be sent again."""
    return TransientError(
        f"What became of this picture is not known; it may have been charged. {reason.message}",
        reply_lost=True,
        hint=reason.hint,
    )


def not_kept(reason: ProviderError, *, is_told: bool) -> ProviderError:
    """Return the error of a picture that was painted and charged, and is not here all the same.

    Args:
        reason: Why not.
        is_told: Whether it may have been painted some time ago, for a request that was made before.
    """
    if isinstance(reason, TransientError | RateLimitedError):
        # To be had yet: a request that is made again under the same UUID asks for it, and pays for no other.
        message = f"The picture is painted and charged, and could not be fetched. {reason.message}"
        return TransientError(message, reply_lost=True, hint=reason.hint)
    if is_told:
        return BadMediaError(
            f"This picture was painted and charged, and Runware does not give it out any more. {reason.message}"
        )
    return reason


def _limits(failure: Mapping[str, Any]) -> str:
    """Return what the service says of the parameter at fault, for a message."""
    parameter = failure.get("parameter")
    names = ", ".join(map(str, parameter)) if isinstance(parameter, list) else parameter
    facts = [
        f"{key} {failure[key]}" for key in ("min", "max", "multiplier", "allowedValues") if key in failure
    ]
    return "".join(f"; {fact}" for fact in (names, *facts) if fact)


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in a list; of anything else, nothing."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
