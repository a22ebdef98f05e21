"""What a build would cost, before it spends anything."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from deckwright.build.media import KINDS, request_for
from deckwright.build.plan import Plan
from deckwright.errors import FAULTS, ProviderError, told
from deckwright.registry import ProviderRegistry
from deckwright.secrets import redact, secret_values


@attrs.frozen
class ProviderEstimate:
    """What it would cost to have one provider make all media of its type.

    Attributes:
        type: The type.
        instance: The configured provider.
        place: 0 for the one that is asked first, 1 for the one that is asked for what the first has not, ...
        items: How many sounds or pictures are wanted.
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
    """

    providers: tuple[ProviderEstimate, ...]

    @property
    def expected(self) -> float:
        """US dollars, when those that are asked first deliver everything; what is not known counts nothing."""
        return sum(found.total or 0.0 for found in self.providers if found.place == 0)

    @property
    def most(self) -> float:
        """US dollars, when for each type the dearest has to deliver everything."""
        types = dict.fromkeys(found.type for found in self.providers)
        return sum(
            max(found.total or 0.0 for found in self.providers if found.type == type) for type in types
        )


def estimate_cost(plan: Plan, registry: ProviderRegistry, *, online: bool = False) -> Estimate:
    """Add up what the media of a plan would cost.

    Args:
        plan: What is to be built.
        registry: Where its providers are from.
        online: Whether services may be asked that tell a price for nothing.
    """
    return Estimate(tuple(_estimates(plan, registry, online)))


def _estimates(plan: Plan, registry: ProviderRegistry, online: bool) -> Iterator[ProviderEstimate]:
    for kind in KINDS:
        requests = [request_for(word, kind) for word in plan.words]
        for place, (instance, provider) in enumerate(plan.providers.get(kind.type, {}).items()):
            info = registry.info_of(kind.type, instance)
            each = total = None
            problem = ""
            try:
                ask = provider.ask_cost_estimate if online else provider.get_cost_estimate
                found = ask(requests)
                each, total = _known(found["per_request"]), _known(found["total_cost"])
            except FAULTS as error:  # what one provider cannot tell must not hide what the others do
                said = error.message if isinstance(error, ProviderError) else told(error)
                problem = redact(said, secret_values(getattr(provider, "config", {})))
            yield ProviderEstimate(
                type=kind.type,
                instance=instance,
                place=place,
                items=len(requests),
                requests=len(requests) * (info.traits.requests_per_item if info else 0),
                each=each,
                total=total,
                problem=problem,
                over=_limits_below(total or 0.0, provider),
            )


def _known(amount: Any) -> float | None:
    return float(amount) if math.isfinite(amount) else None


def _limits_below(total: float, provider: Any) -> dict[str, float]:
    """Return the limits on spending which are lower than an amount: the daily one, and the one to warn at."""
    limits = getattr(provider, "config", {}).get("cost_limits")
    if not isinstance(limits, Mapping):
        return {}
    return {
        name: limits[name]
        for name in ("warn_threshold_usd", "daily_limit_usd")
        if isinstance(limits.get(name), (int, float)) and total > limits[name]
    }
