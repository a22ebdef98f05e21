"""A media chain: the providers of one kind of media, asked in order until one has a file for a word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial

import attrs

from deckwright.builder.accounting import Accounting
from deckwright.builder.generation import GenerationError, generate_file
from deckwright.builder.media import MediaKind, Medium, MissingMedium
from deckwright.builder.provider_handles import ProviderHandle
from deckwright.builder.words import Word
from deckwright.errors import BudgetError, ProviderError
from deckwright.providers.engine import Engine
from deckwright.providers.media import MediaRequest, MediaResult
from deckwright.store import Reservation

Observer = Callable[[MediaRequest, MediaResult], None]


class MediaChain:
    """The providers of one kind of media. It may be used from several threads.

    Args:
        kind: The kind.
        handles: The providers, in the order in which they are asked.
        engine: Calls the providers.
        accounting: Knows what is cached and what may be spent.
        observe: Is called with every new file, and for every word that gets none.
        retry_failed: Whether to ask again for what providers refused before, where a word failed because of it.
    """

    def __init__(
        self,
        kind: MediaKind,
        handles: Sequence[ProviderHandle],
        engine: Engine,
        accounting: Accounting,
        observe: Observer,
        *,
        retry_failed: bool,
    ) -> None:
        self.kind = kind
        self.handles = handles
        self._engine = engine
        self._accounting = accounting
        self._observe = observe
        self._retry_failed = retry_failed
        self._slots = {}
        self.max_parallel = 0  # how many requests all providers together may have in flight
        for handle in handles:
            count = max(1, engine.at_once(handle.ref.type, handle.ref.instance, handle.at_once))
            self._slots[handle.ref] = threading.BoundedSemaphore(count)
            self.max_parallel += count

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
            reasons[handle.ref.instance] = outcome
        *_, last = reasons.values()
        self._observe(request, MediaResult(success=False, error=last.message, failure=last))
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
        with self._slots[handle.ref]:
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
                # A file of its own: a provider may leave a file behind, or write it late.
                output_path=self._accounting.run.new_file(self.kind.suffix),
                id=permission.id,
                requested_before=datetime.fromtimestamp(sent_before, timezone.utc) if sent_before else None,
            )
            # A request that was resumed in vain does not say how the service is now.
            errors_before = breaker.errors_in_a_row if sent_before is None else None
            try:
                generate = partial(self._engine.generate, handle.ref.type, handle.ref.instance)
                generated = generate_file(generate, request, handle.secrets)
                medium = self._accounting.record(handle, key, request, generated, permission)
            except GenerationError as failure:
                self._accounting.record_error(handle, key, failure, permission)
                breaker.record(failure.error, errors_before)
                return failure.error
            breaker.record_success()
            self._observe(request, generated.result)
            return medium
