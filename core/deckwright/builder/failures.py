"""The failures of a build, grouped by kind: how often, for which words, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from deckwright import errors
from deckwright.builder.media import MissingMedium
from deckwright.errors import NotFoundError, ProviderError


class _NoProviderError(ProviderError):
    """None of the providers of a type could be set up."""


_AGAIN = "Run the same command again. It only asks for what is missing."
# The kinds of failure: what people call it, and what to do where the provider says nothing better.
_KINDS: dict[type[ProviderError], tuple[str, str]] = {
    errors.BudgetError: ("budget spent", _AGAIN),
    errors.QuotaError: ("quota spent", f"Wait until it is renewed. {_AGAIN}"),
    errors.AuthenticationError: ("key refused", "Check the key; `deckwright check --online` tries it."),
    errors.MissingDependencyError: ("package missing", "`deckwright doctor` names it."),
    errors.RateLimitedError: ("too many requests", f"Lower requests_per_second, or wait. {_AGAIN}"),
    errors.TransientError: ("no answer", _AGAIN),
    NotFoundError: (
        "nothing found",
        "Add a provider that is asked after this one; --retry-failed asks it again.",
    ),
    errors.ContentPolicyError: (
        "content refused",
        "Reword the translation; --retry-failed asks again as it is.",
    ),
    errors.InvalidRequestError: ("request refused", "Check the settings of the provider."),
    _NoProviderError: ("no provider", "`deckwright doctor` says why."),
    errors.BadMediaError: ("bad file", f"{_AGAIN} If it fails again, report it to its author."),
}
_DEFECT = ("fault of the plugin", "Report it to its author, or disable it: [plugins] disable.")
_OTHER = ("failed", _AGAIN)


@attrs.frozen
class Failure:
    """Media that are missing for the same reason."""

    label: str  # of what is missing: "sounds", "pictures"
    instance: str  # the provider that failed; empty where there is none
    kind: str  # how it failed, in a word or two
    words: list[str]
    message: str  # for the first of the words
    hint: str


def failures_of(missing: Iterable[MissingMedium]) -> list[Failure]:
    """Group those of the missing media that are failures; the most frequent first."""
    failures: dict[tuple[str, str, str], Failure] = {}
    for item in missing:
        if not item.failed:
            continue
        # Where one provider failed, it does not matter that another has nothing.
        serious = {
            name: error for name, error in item.reasons.items() if not isinstance(error, NotFoundError)
        }
        no_provider = {"": _NoProviderError("None of its providers could be set up.")}
        for instance, error in (serious or item.reasons or no_provider).items():
            kind, hint = _kind_of(error)
            failure = Failure(item.kind.label, instance, kind, [], error.message, error.hint or hint)
            failures.setdefault((failure.label, instance, kind), failure).words.append(item.word.text)
    return sorted(failures.values(), key=lambda failure: -len(failure.words))


def _kind_of(error: ProviderError) -> tuple[str, str]:
    if error.is_unexpected:
        return _DEFECT
    return next((_KINDS[base] for base in type(error).__mro__ if base in _KINDS), _OTHER)
