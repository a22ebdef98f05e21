"""Accounting: each request of a build as the store knows it: cached, reserved, answered or failed."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Mapping
from functools import partial

from deckwright import errors
from deckwright.builder.cost_limits import amount_of
from deckwright.builder.generation import Generated, GenerationError
from deckwright.builder.media import Medium
from deckwright.builder.plan import Plan
from deckwright.builder.provider_handles import ProviderHandle
from deckwright.errors import BadMediaError, BudgetError, ProviderError, TransientError
from deckwright.providers.media import MediaRequest
from deckwright.secrets import redact
from deckwright.store import (
    AlreadyCached,
    CacheEntry,
    Limit,
    LimitReached,
    NegativeEntry,
    Reservation,
    Run,
    current_day,
)
from deckwright.tracebacks import format_error

# For so many seconds a provider that had nothing for a word is not asked for it again; then it may have learned it.
NEGATIVE_ENTRIES_LAST = 30 * 24 * 3600


class Accounting:
    """What a build may spend, and what it has. It may be used from several threads.

    It sends no further request once `stopping` is set.
    """

    def __init__(self, plan: Plan, run: Run, stopping: threading.Event) -> None:
        self.run = run
        self._limits = build_limits(plan, run.id)
        self._stopping = stopping
        self._lock = threading.Lock()

    def find(self, handle: ProviderHandle, key: str | None) -> Medium | ProviderError | None:
        """Return the cached file for a key, or the cached error; None when neither is cached."""
        if key is None:
            return None
        if entry := self.run.store.find(key):
            return self._medium(handle, entry)
        negative = self.run.store.entries.find_negative(key, time.time() - NEGATIVE_ENTRIES_LAST)
        if negative is None:
            return None
        error: type[ProviderError] = getattr(errors, negative.error, ProviderError)
        return error(negative.message, hint=negative.hint or None)

    def _medium(self, handle: ProviderHandle, entry: CacheEntry) -> Medium:
        file, is_new = self.run.store.file(entry), entry.run == self.run.id
        return Medium(file, handle.ref.instance, sys.intern(entry.attribution), is_new)

    def reserve(
        self, handle: ProviderHandle, key: str | None, request: MediaRequest
    ) -> Reservation | Medium | BudgetError | None:
        """Wait until a request may be sent; record it, and reserve the money for it.

        Returns:
            The reservation. Or else, if the request is not to be sent: the file that another thread or build has made
            meanwhile, the error of the limit that would be exceeded, or None when the build is stopping.
        """
        if self._stopping.is_set():
            return None
        is_local = not handle.traits.requests_per_item and handle.code_version is not None
        if is_local and handle.expected_cost(request) == 0:
            # After a kill it is sent once more, at no cost; so there is nothing to record.
            self.run.store.require_room()
            return Reservation(str(uuid.uuid4()), is_recorded=False)
        outcome = self.run.reserve(
            key or f"once {uuid.uuid4()}",
            handle.ref,
            partial(handle.expected_cost, request),
            (*self._limits, *handle.limits),
            is_resumable=handle.traits.resumable,
            is_stopping=self._stopping.is_set,
        )
        if isinstance(outcome, AlreadyCached):
            return self._medium(handle, outcome.entry)
        return _budget_error(outcome.limit) if isinstance(outcome, LimitReached) else outcome

    def record(
        self,
        handle: ProviderHandle,
        key: str | None,
        request: MediaRequest,
        generated: Generated,
        reservation: Reservation,
    ) -> Medium:
        """Record a file and its cost; the file moves to the store.

        Raises:
            GenerationError: The file cannot be read.
        """
        metadata = generated.result.metadata if isinstance(generated.result.metadata, Mapping) else {}
        credit = redact(str(metadata.get("attribution") or handle.traits.attribution), handle.secrets)
        cost = charged = amount_of(metadata.get("cost"))
        if cost is not None:
            with self._lock:
                handle.max_cost_seen = max(cost, handle.max_cost_seen or 0.0)
        else:
            expected = handle.expected_cost(request)
            if expected == 0:
                cost = 0.0  # it states no cost because there is none
            elif expected is None:
                charged = 0.0
                if reservation.is_recorded:
                    self._disable_unpriced(handle)
        try:
            file = self.run.import_file(generated.file, generated.ending)
        except OSError as error:
            failure = BadMediaError(f"its file cannot be read ({format_error(error)})")
            raise GenerationError(failure, charged) from None
        if key is None:
            path = self.run.keep_temporarily(file, generated.ending)
            self.run.settle(reservation, charged, is_lost=False)
            return Medium(str(path), handle.ref.instance, credit)
        entry = CacheEntry(
            key=key,
            type=handle.ref.type,
            instance=handle.ref.instance,
            provider=handle.ref.name,
            content=request.content,
            deck=handle.deck,
            attribution=credit,
            cost=cost,
        )
        return self._medium(handle, self.run.record(file, generated.ending, entry, charged, reservation))

    def _disable_unpriced(self, handle: ProviderHandle) -> None:
        """Disable a provider that states its price neither before nor after, where money is limited."""
        if self._limits or handle.limits:
            error = BudgetError(
                "Its price is not known, neither before nor after a request, so no budget can include it.",
                hint="Set the price in its settings, ask its author to state it, or remove the budget.",
            )
            handle.breaker.disable(error)

    def record_error(
        self, handle: ProviderHandle, key: str | None, failure: GenerationError, reservation: Reservation
    ) -> None:
        """Record the outcome of a request that brought no file."""
        error, cost = failure.error, amount_of(failure.cost)
        is_lost = error.is_timeout or (isinstance(error, TransientError) and error.reply_lost)
        may_cost = is_lost or error.is_unexpected or isinstance(error, BadMediaError)
        if cost is None and not may_cost:
            cost = 0.0
        self.run.settle(reservation, cost, is_lost=is_lost)
        is_refusal = isinstance(error, (errors.NotFoundError, errors.ContentPolicyError))
        if key and is_refusal and not error.is_unexpected:
            # The error's own class may be a plugin's.
            known = next(base for base in type(error).__mro__ if base.__module__ == errors.__name__)
            entry = NegativeEntry(known.__name__, error.message, error.hint or "")
            self.run.store.entries.insert_negative(key, entry, handle.ref.name, handle.deck)


def build_limits(plan: Plan, run: str) -> tuple[Limit, ...]:
    """Return the money limits of a build, beside those of each provider; `run` is the id of its run."""
    limits = []
    if plan.budget is not None:
        limits.append(Limit("budget of this build", plan.budget, "--budget, or budget in [build]", run=run))
    if plan.daily_budget is not None:
        today = current_day()
        limits.append(Limit("daily budget", plan.daily_budget, "daily_budget in [build]", since=today))
    return tuple(limits)


def _budget_error(limit: Limit) -> BudgetError:
    amount = f"${limit.dollars:,.2f}" if limit.dollars >= 0.1 else f"${limit.dollars:.4g}"
    when = ", or wait for another day" if limit.since else ""
    return BudgetError(
        f"Another request might exceed the {limit.name}, {amount}.",
        hint=f"Raise it ({limit.hint}){when}, and run the same command again. It only asks for what is missing.",
    )
