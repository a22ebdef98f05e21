"""What failed in a build, by kind: how often, for which words, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from deckwright.builder.media_chain import Missing
from deckwright.errors import (
    AuthenticationError,
    BadMediaError,
    BudgetError,
    ContentPolicyError,
    InvalidRequestError,
    MissingDependencyError,
    NotFoundError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    TransientError,
)

_AGAIN = "Run the same command again: it asks for what is missing only."
# The kinds of failure: what people call it, and what to do where the provider says nothing better.
_KINDS: dict[type[ProviderError], tuple[str, str]] = {
    BudgetError: ("budget spent", _AGAIN),
    QuotaError: ("quota spent", f"Wait until it is renewed. {_AGAIN}"),
    AuthenticationError: ("key refused", "Check the key; `deckwright check --online` tries it."),
    MissingDependencyError: ("package missing", "`deckwright doctor` says which."),
    RateLimitedError: ("too many requests", f"Lower requests_per_second, or wait. {_AGAIN}"),
    TransientError: ("no answer", _AGAIN),
    NotFoundError: (
        "nothing found",
        "Add a provider that is asked after this one; --retry-failed asks it again.",
    ),
    ContentPolicyError: ("content refused", "Reword the translation; --retry-failed asks again as it is."),
    InvalidRequestError: ("request refused", "Check the settings of the provider."),
    BadMediaError: ("bad file", f"{_AGAIN} If it stays, tell its author."),
}
_FAULT = ("fault of the plugin", "Tell its author, or leave it out: [plugins] disable.")
_OTHER = ("failed", _AGAIN)


@attrs.frozen
class Failure:
    """One way in which words were left without something.

    Attributes:
        label: What they are without: `"sounds"`, `"pictures"`.
        instance: The provider that failed; empty where there is none at all.
        kind: In which way, in a word or two.
        words: Those words.
        message: What the provider said of the first of them.
        mend: What to do about it.
    """

    label: str
    instance: str
    kind: str
    words: tuple[str, ...]
    message: str
    mend: str


def failures_of(missing: Iterable[Missing]) -> list[Failure]:
    """Group those of the missing media that are faults; the most frequent first."""
    groups: dict[tuple[str, str, str], list[tuple[str, ProviderError | None]]] = {}
    for item in missing:
        if not item.failed:
            continue
        if not item.reasons:
            groups.setdefault((item.kind.label, "", "no provider"), []).append((item.word.text, None))
        # Where one has failed, that another has nothing is not what is to be mended.
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
        message = first.message if first else "All of its providers failed to be set up."
        mend = (first.hint or _kind_of(first)[1]) if first else "`deckwright doctor` says why."
        failures.append(Failure(label, instance, kind, tuple(word for word, _ in items), message, mend))
    return sorted(failures, key=lambda failure: -len(failure.words))


def _kind_of(error: ProviderError) -> tuple[str, str]:
    if error.is_unforeseen:
        return _FAULT
    return next((_KINDS[base] for base in type(error).__mro__ if base in _KINDS), _OTHER)
