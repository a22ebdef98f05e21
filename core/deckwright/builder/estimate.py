"""What a build would cost, before it spends anything."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import attrs

from deckwright.builder.media_chain import KINDS, REFUSALS_LAST, Kind, request_for
from deckwright.builder.media_stage import today
from deckwright.builder.plan import Plan
from deckwright.builder.provider_handles import Source, amount_of, daily_limits, sources_of
from deckwright.builder.words import Word
from deckwright.errors import CATCHABLE, NotFoundError, ProviderError
from deckwright.providers.media import MediaRequest
from deckwright.registry import ProviderRegistry
from deckwright.secrets import redact
from deckwright.store import Limit, Store
from deckwright.tracebacks import format_error


@attrs.frozen
class ProviderEstimate:
    """What it would cost to have one provider make all media of its type.

    Attributes:
        type: The type.
        instance: The configured provider.
        place: 0 for the one that is asked first, 1 for the one that is asked for what the first has not, ...
        items: How many sounds or pictures it may be asked for: those that are neither kept already, nor known to be
            nothing that it has.
        first: Of how many of them it is asked before any other.
        requests: How many requests to its service they take; 0 when it asks none.
        each: What one costs, in US dollars; None when that is not known.
        total: What all cost.
        problem: Why the cost is not known; empty when it is.
        over: The limits among its settings (`cost_limits`) that the total is above.
    """

    type: str
    instance: str
    place: int
    items: int
    first: int
    requests: int
    each: float | None
    total: float | None
    problem: str = ""
    over: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen
class Estimate:
    """What a build would cost.

    Attributes:
        providers: Each provider of media that the build may see.
        kept: How many sounds, pictures and so on are kept from builds before, by label.
        left: How many US dollars each budget leaves, by its name.
    """

    providers: tuple[ProviderEstimate, ...]
    kept: Mapping[str, int] = attrs.field(factory=dict)
    left: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def expected(self) -> float:
        """US dollars, when those that are asked first deliver everything; what is not known counts nothing."""
        return sum((found.total or 0.0) * found.first / (found.items or 1) for found in self.providers)

    @property
    def most(self) -> float:
        """US dollars, when for each type the dearest has to deliver everything."""
        types = dict.fromkeys(found.type for found in self.providers)
        return sum(
            max(found.total or 0.0 for found in self.providers if found.type == type) for type in types
        )


def estimate_cost(plan: Plan, registry: ProviderRegistry, *, online: bool = False) -> Estimate:
    """Add up what the media of a plan would cost that are not kept already.

    Args:
        plan: What is to be built.
        registry: Where its providers are from.
        online: Whether services may be asked that tell a price for nothing.
    """
    kept: dict[str, int] = {}
    found: list[ProviderEstimate] = []
    with ExitStack() as stack:
        store = stack.enter_context(Store(plan.store)) if Store.is_at(plan.store) else None
        if store:
            stack.enter_context(store.told("cannot be read"))
        for kind in KINDS:
            sources = sources_of(registry, plan.providers, kind.type, plan.deck, today())
            wanted = [_Wanted() for _ in sources]
            kept[kind.label] = sum(
                _is_kept(word, kind, sources, store, wanted, plan.retry_failed) for word in plan.words
            )
            for place, (source, its) in enumerate(zip(sources, wanted, strict=True)):
                found.append(_estimate(source, place, its, online))
        left = dict(_left(plan, store))
    return Estimate(tuple(found), kept, left)


@attrs.define
class _Wanted:
    """What a provider may be asked for, and how often it is the first."""

    requests: list[MediaRequest] = attrs.field(factory=list)
    first: int = 0


def _is_kept(
    word: Word,
    kind: Kind,
    sources: list[Source],
    store: Store | None,
    wanted: list[_Wanted],
    retry_failed: bool,
) -> bool:
    """Say whether a build would find something kept for a word; else add it to what is `wanted` of each source."""
    request = request_for(word, kind)
    is_first = True
    for source, its in zip(sources, wanted, strict=True):
        key = source.key_of(request) if store else None
        if store and key:
            if store.find(key):
                return is_first
            refusal = store.ledger.refusal(key, time.time() - REFUSALS_LAST)
            failed = kind.required or (refusal and refusal.error != NotFoundError.__name__)
            if refusal and not (retry_failed and failed):
                continue
        its.requests.append(request)
        its.first += is_first
        is_first = False
    return False


def _left(plan: Plan, store: Store | None) -> Iterator[tuple[str, float]]:
    """Yield what each budget leaves."""
    if plan.budget is not None:
        yield "budget of this build", plan.budget
    if plan.daily_budget is not None:
        spent = store.ledger.spent(Limit("", 0.0, since=today())).settled if store else 0.0
        yield "daily budget", max(0.0, plan.daily_budget - spent)


def _estimate(source: Source, place: int, wanted: _Wanted, online: bool) -> ProviderEstimate:
    requests = wanted.requests
    each = total = None
    problem = ""
    try:
        ask = source.provider.ask_cost_estimate if online else source.provider.get_cost_estimate
        found = source.limited(ask)(requests)
        each, total = amount_of(found["per_request"]), amount_of(found["total_cost"])
    except CATCHABLE as error:  # what one provider cannot tell must not hide what the others do
        said = error.message if isinstance(error, ProviderError) else format_error(error)
        problem = redact(said, source.secrets)
    return ProviderEstimate(
        type=source.type,
        instance=source.instance,
        place=place,
        items=len(requests),
        first=wanted.first,
        requests=len(requests) * source.traits.requests_per_item,
        each=each,
        total=total,
        problem=problem,
        over={
            name: limit
            for name, limit in daily_limits(getattr(source.provider, "config", {})).items()
            if (total or 0.0) > limit
        },
    )
