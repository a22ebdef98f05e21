"""The failures of a build, grouped by kind: how often, for which words, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from deckwright import errors
from deckwright.builder.media import MissingMedium
from deckwright.errors import NotFoundError, ProviderError

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
    words: tuple[str, ...]
    message: str  # for the first of the words
    hint: str


def failures_of(missing: Iterable[MissingMedium]) -> list[Failure]:
    """Group those of the missing media that are failures; the most frequent first."""
    groups: dict[tuple[str, str, str], list[tuple[str, ProviderError | None]]] = {}
    for item in missing:
        if not item.failed:
            continue
        if not item.reasons:
            groups.setdefault((item.kind.label, "", "no provider"), []).append((item.word.text, None))
        # Where one provider failed, it does not matter that another has nothing.
        faults = {
            instance: error
            for instance, error in item.reasons.items()
            if not isinstance(error, NotFoundError)
        }
        for instance, error in (faults or item.reasons).items():
            group = groups.setdefault((item.kind.label, instance, _kind_of(error)[0]), [])
            group.append((item.word.text, error))
    failures = []
    for (label, instance, kind), items in groups.items():
        first = items[0][1]
        message = first.message if first else "None of its providers could be set up."
        hint = (first.hint or _kind_of(first)[1]) if first else "`deckwright doctor` says why."
        failures.append(Failure(label, instance, kind, tuple(word for word, _ in items), message, hint))
    return sorted(failures, key=lambda failure: -len(failure.words))


def _kind_of(error: ProviderError) -> tuple[str, str]:
    if error.is_unexpected:
        return _DEFECT
    return next((_KINDS[base] for base in type(error).__mro__ if base in _KINDS), _OTHER)
