"""Sources: the providers of a build, each with all that a build needs to know of it, asked once."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from deckwright._version import __version__
from deckwright.config.settings import unknown_setting
from deckwright.errors import CATCHABLE, ProviderError, SettingError
from deckwright.hooks import Traits
from deckwright.plugins import PluginRecord
from deckwright.providers.media import MediaRequest
from deckwright.registry import ProviderRegistry
from deckwright.secrets import secret_values
from deckwright.store import Limit, Place
from deckwright.tracebacks import format_error, format_traceback

logger = logging.getLogger(__name__)

# After so many requests in a row for which a `cache_key` fails, it is not asked for any more.
_MOST_UNKEYED = 10
_LIMITS = ("warn_threshold_usd", "daily_limit_usd")


@attrs.define
class Source:
    """A configured provider of a build.

    Attributes:
        type: What it delivers.
        instance: Its key in the configuration.
        name: The name by which plugins know it.
        provider: The provider.
        traits: What is described of it.
        place: Whose its results are.
        code: What its results depend on beside its settings: the plugin, and as the case may be its version; None
            when that is not known, so that nothing can be kept.
        secrets: What must not be shown.
        limits: Its own limits on spending: `cost_limits` among its settings.
        dearest: The most that one request of this build has cost, in US dollars; None before any was answered.
        fault: Why nothing of it can be kept, where its `cache_key` fails.
        unkeyed: For how many requests in a row it failed.
        tells_cost: Whether its `get_cost_estimate` is worth asking.
        limited: Gives a function of it as one that does not take for ever.
        lock: For calling those two.
    """

    type: str
    instance: str
    name: str
    provider: Any
    traits: Traits
    place: Place
    code: str | None
    secrets: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    dearest: float | None = None
    fault: ProviderError | None = None
    unkeyed: int = 0
    tells_cost: bool = True
    limited: Callable[[Callable[..., Any]], Callable[..., Any]] = attrs.field(default=lambda call: call)
    # Most plugins never thought of being called from several threads at once.
    lock: threading.RLock = attrs.field(factory=threading.RLock)

    @property
    def key(self) -> tuple[str, str]:
        """The type and instance."""
        return self.type, self.instance

    @property
    def names(self) -> tuple[str, str, str]:
        """What the ledger calls it."""
        return self.type, self.instance, self.name

    @property
    def at_once(self) -> int:
        """How many requests it takes at once."""
        try:
            return max(1, int(getattr(self.provider, "at_once", 1)))
        except CATCHABLE as error:
            logger.debug("%s", format_traceback(error, self.secrets))
            return 1

    def key_of(self, request: MediaRequest) -> str | None:
        """Return what the result of a request is kept under: a digest of all that determines it; None for nothing."""
        if self.code is None:
            return None
        try:
            with self.lock:
                about = self.limited(self.provider.cache_key)(request)
            text = json.dumps([self.type, self.name, self.code, self.place.deck, about], sort_keys=True)
        except CATCHABLE as error:
            self.unkeyed += 1
            if self.unkeyed >= _MOST_UNKEYED:
                self.code = None
            self.fault = ProviderError(
                f"Nothing that it makes can be kept between builds: cache_key failed ({format_error(error)})."
            )
            self.fault.redact(self.secrets)
            return None
        self.unkeyed = 0
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def expected_cost(self, request: MediaRequest) -> float | None:
        """Return what to expect a request to cost, in US dollars: the estimate, or more where it did cost more.

        None when nobody knows yet.
        """
        estimate = None
        if self.tells_cost:
            try:
                with self.lock:
                    estimate = amount_of(
                        self.limited(self.provider.get_cost_estimate)([request])["per_request"]
                    )
            except CATCHABLE as error:
                logger.debug("%s", format_traceback(error, self.secrets))
                self.tells_cost = False
        known = [amount for amount in (estimate, self.dearest) if amount is not None]
        return max(known, default=None)


def amount_of(value: Any) -> float | None:
    """Return an amount of money as a number; None for what is none, as a provider may tell it."""
    try:
        amount = float(value)
    except (TypeError, ValueError):
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def sources_of(
    registry: ProviderRegistry, providers: Mapping[str, Mapping[str, Any]], type: str, deck: str, today: str
) -> list[Source]:
    """Return the providers of one type that a build may see, in the order in which they are asked.

    Args:
        registry: Where they are from.
        providers: Type, then instance, to provider.
        type: Which.
        deck: The deck that is built.
        today: The day whose spending counts, as an ISO date.
    """
    found = []
    for instance, provider in providers.get(type, {}).items():
        info = registry.info_of(type, instance)
        traits = info.traits if info else Traits()
        name = registry.name_of(type, instance)
        owner = registry.owner(type, instance)
        config = getattr(provider, "config", {})
        found.append(
            Source(
                type=type,
                instance=instance,
                name=name,
                provider=provider,
                traits=traits,
                place=Place("" if traits.cacheable else deck),
                code=_code_of(owner, info is not None and traits.requests_per_item > 0),
                secrets=tuple(secret_values(config)),
                limits=tuple(_limits_of(config, name, today)),
                limited=partial(registry.limited, type, instance),
            )
        )
    return found


def daily_limits(config: Mapping[str, Any]) -> dict[str, float]:
    """Return the `cost_limits` among a provider's settings, in US dollars a day.

    Raises:
        SettingError: One of them is no amount of money.
    """
    found = {}
    limits = _cost_limits(config)
    for name in _LIMITS:
        if name in limits:
            amount = None if isinstance(limits[name], bool) else amount_of(limits[name])
            if amount is None:
                raise SettingError(f"cost_limits.{name}", f"{limits[name]!r} is no amount of US dollars")
            found[name] = amount
    return found


def odd_limits(config: Mapping[str, Any]) -> list[str]:
    """Return remarks on what stands among the `cost_limits` of a provider and limits nothing."""
    known = [f"cost_limits.{name}" for name in _LIMITS]
    return [
        unknown_setting(f"cost_limits.{key}", known) for key in _cost_limits(config) if key not in _LIMITS
    ]


def _cost_limits(config: Mapping[str, Any]) -> Mapping[str, Any]:
    limits = config.get("cost_limits")
    return limits if isinstance(limits, Mapping) else {}


def _limits_of(config: Mapping[str, Any], name: str, today: str) -> list[Limit]:
    most = daily_limits(config).get("daily_limit_usd")
    if most is None:
        return []
    mend = f"cost_limits in [apis.{name}], or of the provider"
    return [Limit(f"daily_limit_usd of {name}", most, mend, since=today, provider=name)]


def _code_of(plugin: PluginRecord | None, asks_a_service: bool) -> str | None:
    """Return what stands for a plugin's code.

    What is paid for is kept when its plugin is updated; what costs nothing is made anew, since it may be better. And
    an author at work on a plugin wants to see the change.
    """
    if plugin is None or plugin.provenance.kind == "object":
        return None
    owner = plugin.provenance.distribution or plugin.name
    if asks_a_service:
        return owner
    if plugin.is_built_in:
        return f"{owner} {__version__}"
    file = Path(plugin.file)
    is_package = (file.parent / "__init__.py").is_file()
    try:
        digest = hashlib.sha256()
        for each in sorted(file.parent.rglob("*.py")) if is_package else [file]:
            digest.update(each.read_bytes())
    except OSError:
        return None
    return f"{owner} {plugin.version} {digest.hexdigest()}"
