"""A media chain: the providers of one kind of media, asked in order until one has a file for a word."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial

import attrs

from deckwright.builder.accounting import Accounting
from deckwright.builder.generation import GenerationError, generate_file
from deckwright.builder.media import MediaKind, Medium, MissingMedium
from deckwright.builder.provider_handles import ProviderHandle
from deckwright.builder.words import Word
from deckwright.errors import BudgetError, ProviderError
from deckwright.plugins import Plugins
from deckwright.providers.engine import Engine
from deckwright.providers.media import MediaRequest, MediaResult
from deckwright.store import Reservation


class MediaObservers:
    """The plugins that observe which media a build generates; they are called one at a time."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._lock = threading.Lock()

    def notify(self, request: MediaRequest, result: MediaResult) -> None:
        """Call `media_generated` of every plugin."""
        with self._lock:
            self._plugins.notify("media_generated", request=request, result=result)


class MediaChain:
    """The providers of one kind of media. It may be used from several threads.

    Args:
        kind: The kind.
        handles: The providers, in the order in which they are asked.
        engine: Calls the providers.
        accounting: Knows what is cached and what may be spent.
        observers: Are notified of every new file, and of every word that gets none.
        retry_failed: Whether to ask again for what providers refused before, where a word failed because of it.

    Attributes:
        max_parallel: How many requests all of the providers together may have in flight.
    """

    def __init__(
        self,
        kind: MediaKind,
        handles: Sequence[ProviderHandle],
        engine: Engine,
        accounting: Accounting,
        observers: MediaObservers,
        *,
        retry_failed: bool = False,
    ) -> None:
        self.kind = kind
        self.handles = handles
        self._engine = engine
        self._accounting = accounting
        self._observers = observers
        self._retry_failed = retry_failed
        parallel = {
            handle.instance: max(1, engine.at_once(handle.type, handle.instance, handle.at_once))
            for handle in handles
        }
        self._slots = {instance: threading.BoundedSemaphore(count) for instance, count in parallel.items()}
        self.max_parallel = sum(parallel.values())

    def medium_for(self, word: Word) -> Medium | MissingMedium | None:
        """Return the cached file for a word, or ask one provider after another until one has it.

        None means that the build is stopping, and the outcome is open.
        """
        request = self.kind.request_for(word)
        asks_again = self._retry_failed and self._has_failed_before(request)
        reasons: dict[str, ProviderError] = {}
        for handle in self.handles:
            key = handle.key_of(request)
            outcome = self._accounting.find(handle, key)
            if outcome is None or (asks_again and isinstance(outcome, ProviderError)):
                outcome = self._generate(handle, key, request)
            if not isinstance(outcome, ProviderError):
                return outcome
            reasons[handle.instance] = outcome
        *_, last = reasons.values()
        self._observers.notify(request, MediaResult(success=False, error=last.message, failure=last))
        return MissingMedium(word, self.kind, reasons, failed=self.kind.is_failure(reasons.values()))

    def _has_failed_before(self, request: MediaRequest) -> bool:
        """Say whether all providers refused a request in a build before, so that its word counts as failed."""
        errors = []
        for handle in self.handles:
            cached = self._accounting.find(handle, handle.key_of(request))
            if not isinstance(cached, ProviderError):
                return False
            errors.append(cached)
        return self.kind.is_failure(errors)

    def _generate(
        self, handle: ProviderHandle, key: str | None, request: MediaRequest
    ) -> Medium | ProviderError | None:
        """Ask one provider, as soon as it takes one more request. None means that the build is stopping."""
        breaker = handle.breaker
        with self._slots[handle.instance]:
            if error := breaker.check():
                return error
            permission = self._accounting.reserve(handle, key, request)
            if isinstance(permission, BudgetError):
                breaker.record(permission)
            if not isinstance(permission, Reservation):
                return permission
            sent_before = permission.sent_before
            request = attrs.evolve(
                request,
                output_path=self._accounting.new_file(self.kind.suffix),
                id=permission.id,
                requested_before=datetime.fromtimestamp(sent_before, timezone.utc) if sent_before else None,
            )
            # A request that was resumed in vain does not say how the service is now.
            errors_before = breaker.errors_in_a_row if sent_before is None else None
            try:
                generate = partial(self._engine.generate, handle.type, handle.instance)
                generated = generate_file(generate, request, handle.secrets)
                medium = self._accounting.record(handle, key, request, generated, permission)
            except GenerationError as failure:
                self._accounting.record_error(handle, key, failure, permission)
                breaker.record(failure.error, errors_before)
                return failure.error
            breaker.record_success()
            self._observers.notify(request, generated.result)
            return medium
