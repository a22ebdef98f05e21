"""What a build would cost, before it spends anything."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext

import attrs

from deckwright.builder.accounting import NEGATIVE_ENTRIES_LAST, build_limits
from deckwright.builder.cost_limits import amount_of, cost_limits
from deckwright.builder.media import KINDS, MediaKind
from deckwright.builder.plan import Plan
from deckwright.builder.provider_handles import ProviderHandle, provider_handles
from deckwright.builder.words import Word
from deckwright.errors import CATCHABLE, NotFoundError, ProviderError
from deckwright.providers.media import MediaRequest
from deckwright.registry import ProviderRegistry
from deckwright.secrets import redact
from deckwright.store import Store
from deckwright.tracebacks import format_error


@attrs.frozen
class ProviderEstimate:
    """What it would cost to have one provider make all media of its type, in US dollars."""

    type: str
    instance: str
    position: int  # 0 for the provider that is asked first, 1 for the second, ...
    items: int  # how many it may be asked for: those that are neither cached, nor refused before
    first: int  # how many of them it is asked for before any other provider
    requests: int  # how many requests to its service they take; 0 when it uses none
    each: float | None  # None when that is not known
    total: float | None
    problem: str  # why the cost is not known; empty when it is
    over: Mapping[str, float]  # those of its `cost_limits` that the total exceeds


@attrs.frozen
class Estimate:
    """What a build would cost, in US dollars."""

    providers: tuple[ProviderEstimate, ...]
    cached: Mapping[str, int]  # how many sounds, pictures and so on are cached, by label
    left: Mapping[str, float]  # what each budget leaves, by its name

    @property
    def expected(self) -> float:
        """The cost if the first providers have everything; an unknown cost counts as nothing."""
        return sum((each.total or 0.0) * each.first / (each.items or 1) for each in self.providers)

    @property
    def most(self) -> float:
        """The cost if the most expensive provider of each type has to make everything."""
        most: dict[str, float] = {}
        for each in self.providers:
            most[each.type] = max(most.get(each.type, 0.0), each.total or 0.0)
        return sum(most.values())


@attrs.define
class _Demand:
    """What a provider may be asked for, and for how many of that it is the first."""

    handle: ProviderHandle
    requests: list[MediaRequest] = attrs.field(factory=list)
    first: int = 0


def estimate_cost(plan: Plan, registry: ProviderRegistry, *, online: bool = False) -> Estimate:
    """Add up what the media of a plan would cost that are not cached; `online` asks services for their prices."""
    cached: dict[str, int] = {}
    estimates: list[ProviderEstimate] = []
    with Store(plan.store) if Store.exists(plan.store) else nullcontext() as store:
        for kind in KINDS:
            demands = [_Demand(handle) for handle in provider_handles(plan, registry, kind.type)]
            cached[kind.label] = sum(
                _is_cached(word, kind, demands, store, plan.retry_failed) for word in plan.words
            )
            estimates += [_estimate(position, demand, online) for position, demand in enumerate(demands)]
        left = {}
        for limit in build_limits(plan, run="not begun"):
            settled = store.ledger.usage(run=limit.run, since=limit.since).settled if store else 0.0
            left[limit.name] = max(0.0, limit.dollars - settled)
    return Estimate(tuple(estimates), cached, left)


def _is_cached(
    word: Word, kind: MediaKind, demands: list[_Demand], store: Store | None, retry_failed: bool
) -> bool:
    """Say whether a build would find a cached file for a word; else add to the demands."""
    request = kind.request_for(word)
    is_first = True
    for demand in demands:
        key = demand.handle.key_of(request) if store else None
        if store and key:
            if store.find(key):
                return is_first
            negative = store.entries.find_negative(key, time.time() - NEGATIVE_ENTRIES_LAST)
            has_failed = kind.required or (negative and negative.error != NotFoundError.__name__)
            if negative and not (retry_failed and has_failed):
                continue
        demand.requests.append(request)
        demand.first += is_first
        is_first = False
    return False


def _estimate(position: int, demand: _Demand, online: bool) -> ProviderEstimate:
    handle, requests = demand.handle, demand.requests
    each = total = None
    problem = ""
    try:
        provider = handle.provider
        estimate = provider.fetch_cost_estimate if online else provider.get_cost_estimate
        found = handle.with_timeout(estimate)(requests)
        each, total = amount_of(found["per_request"]), amount_of(found["total_cost"])
    except CATCHABLE as error:  # an error of one provider must not hide the others' estimates
        message = error.message if isinstance(error, ProviderError) else format_error(error)
        problem = redact(message, handle.secrets)
    limits = cost_limits(handle.provider).items()
    return ProviderEstimate(
        type=handle.ref.type,
        instance=handle.ref.instance,
        position=position,
        items=len(requests),
        first=demand.first,
        requests=len(requests) * handle.traits.requests_per_item,
        each=each,
        total=total,
        problem=problem,
        over={name: dollars for name, dollars in limits if (total or 0.0) > dollars},
    )
