"""The `cost_limits` among a provider's settings, and amounts of money as a provider states them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from deckwright.config.settings import unknown_setting
from deckwright.errors import SettingError

_NAMES = ("warn_threshold_usd", "daily_limit_usd")


def amount_of(value: Any) -> float | None:
    """Return an amount of money as a number; None when it is no amount."""
    try:
        amount = float(value)
    except (TypeError, ValueError):
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def cost_limits(provider: Any) -> dict[str, float]:
    """Return the `cost_limits` of a provider by name, in US dollars a day.

    Raises:
        SettingError: One of them is no amount of money.
    """
    limits = _configured(provider)
    found = {}
    for name in _NAMES:
        if name in limits:
            amount = None if isinstance(limits[name], bool) else amount_of(limits[name])
            if amount is None:
                raise SettingError(f"cost_limits.{name}", f"{limits[name]!r} is no amount of US dollars")
            found[name] = amount
    return found


def unknown_cost_limits(provider: Any) -> list[str]:
    """Return a warning for each of the `cost_limits` that has no meaning."""
    known = [f"cost_limits.{name}" for name in _NAMES]
    return [
        unknown_setting(f"cost_limits.{key}", known) for key in _configured(provider) if key not in _NAMES
    ]


def _configured(provider: Any) -> Mapping[str, Any]:
    limits = getattr(provider, "config", {}).get("cost_limits")
    return limits if isinstance(limits, Mapping) else {}
