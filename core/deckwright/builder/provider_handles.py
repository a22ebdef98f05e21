"""Provider handles: the providers of a build, each with everything that a build needs to know about it."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from deckwright._version import __version__
from deckwright.builder.circuit_breaker import CircuitBreaker
from deckwright.builder.cost_limits import amount_of, cost_limits
from deckwright.builder.plan import Plan
from deckwright.errors import CATCHABLE, ProviderError
from deckwright.hooks import Traits
from deckwright.plugins import PluginRecord
from deckwright.providers.media import MediaRequest
from deckwright.registry import ProviderRegistry
from deckwright.secrets import secret_values
from deckwright.store import Limit, ProviderRef, current_day
from deckwright.tracebacks import format_error, format_traceback

logger = logging.getLogger(__name__)

# After so many failures of `cache_key` in a row, it is not called any more.
_MAX_CACHE_KEY_ERRORS = 10


@attrs.define
class ProviderHandle:
    """A configured provider of a build.

    Attributes:
        deck: The only deck that may use its files; empty when any may.
        code_version: What its results depend on beside its settings: the plugin, and perhaps the plugin's version;
            None when that is not known, so that nothing can be cached.
        limits: Its own money limits, from the `cost_limits` among its settings.
        with_timeout: Wraps a function of the provider so that it has a time limit.
        max_cost_seen: The most that one request of this build has cost, in US dollars; None before the first answer.
        cache_key_error: Why its results cannot be cached, where its `cache_key` fails.
        breaker: Decides whether it is still asked.
    """

    ref: ProviderRef
    provider: Any
    traits: Traits
    deck: str
    code_version: str | None
    secrets: tuple[str, ...]
    limits: tuple[Limit, ...]
    with_timeout: Callable[[Callable[..., Any]], Callable[..., Any]]
    max_cost_seen: float | None = None
    cache_key_error: ProviderError | None = None
    breaker: CircuitBreaker = attrs.field(factory=CircuitBreaker)
    _cache_key_errors: int = 0
    _can_estimate: bool = True
    # Most plugins are not written to be called from several threads at once.
    _lock: threading.RLock = attrs.field(factory=threading.RLock)

    @property
    def at_once(self) -> int:
        """How many requests it takes at once."""
        try:
            return max(1, int(getattr(self.provider, "at_once", 1)))
        except CATCHABLE as error:
            logger.debug("%s", format_traceback(error, self.secrets))
            return 1

    def key_of(self, request: MediaRequest) -> str | None:
        """Return the cache key of a request: a digest of all that its result depends on. None for no caching."""
        if self.code_version is None:
            return None
        try:
            with self._lock:
                about = self.with_timeout(self.provider.cache_key)(request)
            parts = [self.ref.type, self.ref.name, self.code_version, self.deck, about]
            text = json.dumps(parts, sort_keys=True)
        except CATCHABLE as error:
            self._cache_key_errors += 1
            if self._cache_key_errors >= _MAX_CACHE_KEY_ERRORS:
                self.code_version = None
            self.cache_key_error = ProviderError(
                f"Its files cannot be cached between builds: cache_key failed ({format_error(error)})."
            )
            self.cache_key_error.redact(self.secrets)
            return None
        self._cache_key_errors = 0
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def expected_cost(self, request: MediaRequest) -> float | None:
        """Return the expected cost of a request in US dollars: the estimate, or more where a request did cost more.

        None when nobody knows yet.
        """
        estimate = None
        if self._can_estimate:
            try:
                with self._lock:
                    found = self.with_timeout(self.provider.get_cost_estimate)([request])
                estimate = amount_of(found["per_request"])
            except CATCHABLE as error:
                logger.debug("%s", format_traceback(error, self.secrets))
                self._can_estimate = False
        known = [amount for amount in (estimate, self.max_cost_seen) if amount is not None]
        return max(known, default=None)


def provider_handles(plan: Plan, registry: ProviderRegistry, type: str) -> list[ProviderHandle]:
    """Return the providers of one type that a build may use, in the order in which they are asked."""
    handles = []
    for instance, provider in plan.providers.get(type, {}).items():
        info = registry.info_of(type, instance)
        traits = info.traits if info else Traits()
        ref = ProviderRef(type, instance, registry.name_of(type, instance))
        handles.append(
            ProviderHandle(
                ref=ref,
                provider=provider,
                traits=traits,
                deck="" if traits.cacheable else plan.deck,
                code_version=_code_version(registry.owner(type, instance), traits.requests_per_item > 0),
                secrets=tuple(secret_values(getattr(provider, "config", {}))),
                limits=tuple(_daily_limit(provider, ref.name)),
                with_timeout=partial(registry.with_timeout, type, instance),
            )
        )
    return handles


def _daily_limit(provider: Any, name: str) -> list[Limit]:
    dollars = cost_limits(provider).get("daily_limit_usd")
    if dollars is None:
        return []
    hint = f"cost_limits in [apis.{name}], or of the provider"
    return [Limit(f"daily_limit_usd of {name}", dollars, hint, since=current_day(), provider=name)]


def _code_version(plugin: PluginRecord | None, uses_service: bool) -> str | None:
    """Return what stands for a plugin's code in cache keys.

    When a plugin is updated, what was paid for stays cached; what costs nothing is generated again, since it may be
    better. And the author of a plugin wants to see each change.
    """
    if plugin is None or plugin.provenance.kind == "object":
        return None
    owner = plugin.provenance.distribution or plugin.name
    if uses_service:
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
