"""Media for words: what is kept already, or else from the first provider of the pipeline that has it."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import attrs

from deckwright import errors
from deckwright.builder.generation import Delivered, Failed, ask
from deckwright.builder.provider_handles import Source, amount_of
from deckwright.builder.words import Word
from deckwright.errors import (
    BadMediaError,
    BudgetError,
    ContentPolicyError,
    NotFoundError,
    ProviderError,
    QuotaError,
    TransientError,
)
from deckwright.providers.media import MediaRequest, MediaResult
from deckwright.secrets import redact
from deckwright.store import Asked, Kept, Limit, Refusal, Run
from deckwright.tracebacks import format_error

logger = logging.getLogger(__name__)

# Calls the provider of a type and instance.
Generate = Callable[[str, str, MediaRequest], Any]

# So many passing faults in a row, each after all tries of the provider's own, and a service is taken for down.
PATIENCE = 3
# So many words in a row for which a provider fails in whatever other way, and it is taken for one that never delivers.
PATIENCE_WITH_FAULTS = 10
# For so many seconds a provider that had nothing for a word is not asked for it again; it may learn.
REFUSALS_LAST = 30 * 24 * 3600


@attrs.frozen
class Kind:
    """A kind of media that a card has a place for.

    Attributes:
        type: The type of provider that delivers it.
        label: What people call several of it.
        suffix: The ending that providers are asked for; they may deliver another.
        required: Whether a word without it counts as failed.
    """

    type: str
    label: str
    suffix: str
    required: bool


# A word that cannot be heard is a fault; one that cannot be drawn, like most phrases, is not.
KINDS = (Kind("audio", "sounds", ".mp3", required=True), Kind("image", "pictures", ".png", required=False))


@attrs.frozen
class Medium:
    """One finished file.

    Attributes:
        file: The file; its name is made from its content.
        instance: The configured provider that it came from.
        attribution: The credit that is due; empty when none is.
        is_new: Whether this build made it; else it was kept from one before.
    """

    # Of a hundred thousand, paths would fill the memory.
    file: str
    instance: str
    attribution: str = ""
    is_new: bool = True

    @property
    def name(self) -> str:
        """The file's bare name."""
        return os.path.basename(self.file)  # noqa: PTH119


@attrs.frozen
class Missing:
    """What a word has to do without.

    Attributes:
        word: The word.
        kind: What is missing.
        reasons: Why, from each provider that was asked: instance to error.
        failed: Whether that is a fault, and not just the end of what the providers have.
    """

    word: Word
    kind: Kind
    reasons: dict[str, ProviderError]
    failed: bool


def request_for(word: Word, kind: Kind) -> MediaRequest:
    """Return what providers are asked for a word."""
    params = {"language": word.language}
    if word.reading:
        params["reading"] = word.reading
    if word.translation:
        params["translation"] = word.translation
    return MediaRequest(kind.type, word.text, params)


class MediaMaker:
    """Makes the media of one build; it may be used from several threads.

    Args:
        sources: The providers: by type, in the order in which they are asked.
        run: Where results are kept, and money is accounted for.
        generate: Calls a provider.
        limits: What must not be spent, beside the limits of each source.
        at_once: How many requests each source may have in flight, by its key.
        observe: Called with each request and what came of it in the end; never twice at once.
        is_stopping: Says whether nothing more is to be asked for.
        retry_failed: Whether to ask again for what providers refused before, where a word failed of it.

    Attributes:
        out: By type and instance, the providers that are asked no more, and why.
        faults: By type and instance, what providers did that none should, whatever they are asked for.
    """

    def __init__(
        self,
        sources: Mapping[str, Sequence[Source]],
        run: Run,
        generate: Generate,
        *,
        at_once: Mapping[tuple[str, str], int],
        limits: Sequence[Limit] = (),
        observe: Callable[[MediaRequest, MediaResult], None] = lambda request, result: None,
        is_stopping: Callable[[], bool] = lambda: False,
        retry_failed: bool = False,
    ) -> None:
        self._sources = sources
        self._run = run
        self._generate = generate
        self._limits = tuple(limits)
        self._observe = observe
        self._is_stopping = is_stopping
        self._retry_failed = retry_failed
        self._slots = {key: threading.BoundedSemaphore(count) for key, count in at_once.items()}
        # So that plugins are told of one thing at a time.
        self._telling = threading.Lock()
        # For all that follows.
        self._lock = threading.Lock()
        # Providers that it is pointless to ask again in this run, with the reason.
        self.out: dict[tuple[str, str], ProviderError] = {}
        self.faults: dict[tuple[str, str], list[ProviderError]] = {}
        # How often in a row a provider has failed, by how often it may.
        self._failed_in_a_row: Counter[tuple[str, str, int]] = Counter()

    @property
    def kinds(self) -> Iterable[Kind]:
        """The kinds of media that the pipeline has any provider of."""
        return [kind for kind in KINDS if self._sources.get(kind.type)]

    def make(self, word: Word, kind: Kind) -> Medium | Missing | None:
        """Return what is kept for a word, or ask one provider after the other until one delivers.

        None means that the build is stopping, and nobody knows what would have become of it.
        """
        reasons: dict[str, ProviderError] = {}
        request = request_for(word, kind)
        asks_anew = self._retry_failed and self._has_failed(request, kind)
        for source in self._sources[kind.type]:
            key = source.key_of(request)
            made = self._remembered(source, key)
            if made is None or (asks_anew and isinstance(made, ProviderError)):
                made = self._made(source, key, request, kind)
            if made is None or isinstance(made, Medium):
                return made
            reasons[source.instance] = made
        *_, last = reasons.values()
        self._tell(request, MediaResult(success=False, error=last.message, failure=last))
        return Missing(word, kind, reasons, failed=_is_fault(kind, reasons.values()))

    # What is known already

    def _remembered(self, source: Source, key: str | None) -> Medium | ProviderError | None:
        if key is None:
            return None
        if kept := self._run.find(key):
            return self._medium(source, kept)
        refusal = self._run.refusal(key, time.time() - REFUSALS_LAST)
        return _error_of(refusal) if refusal else None

    def _has_failed(self, request: MediaRequest, kind: Kind) -> bool:
        """Say whether a build before was refused something by all, so that the word counts as failed."""
        reasons = []
        for source in self._sources[kind.type]:
            known = self._remembered(source, source.key_of(request))
            if not isinstance(known, ProviderError):
                return False
            reasons.append(known)
        return _is_fault(kind, reasons)

    def _medium(self, source: Source, kept: Kept) -> Medium:
        is_new = kept.run == self._run.id
        return Medium(self._run.store.file(kept), source.instance, sys.intern(kept.attribution), is_new)

    # Asking

    def _made(
        self, source: Source, key: str | None, request: MediaRequest, kind: Kind
    ) -> Medium | ProviderError | None:
        """Ask a provider when it is its turn; return None when the build is stopping."""
        with self._slots[source.key]:
            if self._is_stopping():
                return None
            if failure := self._failure_for_good(source):
                return failure
            asked: Asked | None = None
            # What asks no service and costs nothing may be done twice; only what may be paid for is recorded before.
            if source.traits.requests_per_item or source.code is None or source.expected_cost(request) != 0:
                permission = self._permission(source, key, request)
                if permission is None:
                    return None
                if isinstance(permission, Kept):
                    return self._medium(source, permission)
                if isinstance(permission, Limit):
                    return self._remember(source, _over(permission))
                asked = permission
            else:
                self._run.store.require_room()
            # A file of its own for each: what a provider leaves behind, or writes late, must not pass for another's.
            request = attrs.evolve(
                request,
                output_path=self._run.new_file(kind.suffix),
                id=asked.id if asked else str(uuid.uuid4()),
                asked_before=datetime.fromtimestamp(asked.before, timezone.utc)
                if asked and asked.before
                else None,
            )
            failed_before = self._failures(source)
            answer = ask(lambda wanted: self._generate(*source.key, wanted), request, source.secrets)
            if isinstance(answer, Failed):
                self._settle(source, key, answer, asked)
                if asked is not None and asked.before is not None:
                    # A request that was resumed in vain says nothing of how the service is now.
                    failed_before = -1
                return self._remember(source, answer.error, failed_before)
            made = self._kept(source, key, request, answer, asked)
            if isinstance(made, Medium):
                self._tell(request, answer.result)
            return self._remember(source, made, failed_before)

    def _permission(
        self, source: Source, key: str | None, request: MediaRequest
    ) -> Asked | Limit | Kept | None:
        """Have a request recorded, and its money reserved."""
        return self._run.ask(
            key or f"once {uuid.uuid4()}",
            source.names,
            lambda: source.expected_cost(request),
            (*self._limits, *source.limits),
            is_resumable=source.traits.resumable,
            is_over=self._is_stopping,
        )

    def _kept(
        self, source: Source, key: str | None, request: MediaRequest, made: Delivered, asked: Asked | None
    ) -> Medium | ProviderError:
        """Keep a file under a name that is made from its content, and record what it cost."""
        about = made.result.metadata if isinstance(made.result.metadata, Mapping) else {}
        credit = redact(str(about.get("attribution") or source.traits.attribution), source.secrets)
        cost = amount_of(about.get("cost"))
        charged = cost
        if cost is not None:
            with self._lock:
                source.dearest = max(cost, source.dearest or 0.0)
        else:
            expected = source.expected_cost(request)
            if expected == 0:
                cost = 0.0  # it tells no cost because there is none
            elif expected is None:
                charged = 0.0
                if asked:
                    self._refuse_unknown_price(source)
        try:
            file = self._run.take(made.file, made.ending)
        except OSError as error:
            failure = BadMediaError(f"its file cannot be kept ({format_error(error)})")
            self._settle(source, key, Failed(failure, charged), asked)
            return failure
        if key:
            kept = self._run.keep(
                file, made.ending, key, source.names,
                content=request.content, place=source.place, attribution=credit, cost=cost, charged=charged,
                request=asked,
            )  # fmt: skip
            return self._medium(source, kept)
        path = self._run.keep_for_now(file, made.ending)
        if asked:
            self._run.answered(asked, charged, is_lost=False)
        return Medium(str(path), source.instance, credit)

    def _refuse_unknown_price(self, source: Source) -> None:
        """Ask a provider no more whose price is told neither before nor after, where money is limited."""
        if self._limits or source.limits:
            with self._lock:
                self.out[source.key] = BudgetError(
                    "Nobody knows what it costs, neither before nor after: no budget can be kept with it.",
                    hint="Let its settings or its plugin tell the price, or set no budget.",
                )

    def _settle(self, source: Source, key: str | None, failed: Failed, asked: Asked | None) -> None:
        """Record what became of a request that failed."""
        failure = failed.error
        if asked:
            is_lost = failure.is_overdue or (isinstance(failure, TransientError) and failure.reply_lost)
            may_cost = is_lost or failure.is_unforeseen or isinstance(failure, BadMediaError)
            cost = amount_of(failed.cost)
            self._run.answered(asked, 0.0 if cost is None and not may_cost else cost, is_lost=is_lost)
        if key and isinstance(failure, (NotFoundError, ContentPolicyError)) and not failure.is_unforeseen:
            refusal = Refusal(_class_of(failure).__name__, failure.message, failure.hint or "")
            self._run.refused(key, refusal, source.name, source.place)

    # Who need not be asked again

    def _failure_for_good(self, source: Source) -> ProviderError | None:
        """Return why a provider is asked no more; one whose quota is new is asked again."""
        with self._lock:
            failure = self.out.get(source.key)
            resets_at = failure.resets_at if isinstance(failure, QuotaError) else None
            if resets_at and datetime.now(timezone.utc) >= resets_at.astimezone():
                del self.out[source.key]
                return None
            return failure

    def _remember(
        self, source: Source, result: Medium | ProviderError, failed_before: int = -1
    ) -> Medium | ProviderError:
        """Take note of who need not be asked again, and of whose code is at fault.

        Args:
            source: The provider.
            result: What came of asking it.
            failed_before: How often in a row it had failed when it was asked. Those that were in flight at the same
                time have failed once: one short break of the network is not the end.
        """
        key = source.key
        with self._lock:
            if isinstance(result, BadMediaError) or (
                isinstance(result, ProviderError) and result.is_unforeseen
            ):
                self.faults.setdefault(key, []).append(result)
            patience = _patience_with(result)
            if patience is None:
                self._forget_failures(source)
            elif failed_before == self._failures(source):
                self._failed_in_a_row[(*key, patience)] += 1
            if isinstance(result, ProviderError) and (
                result.out_for_run
                or result.is_overdue
                or (patience is not None and self._failed_in_a_row[(*key, patience)] >= patience)
            ):
                self.out.setdefault(key, result)
        return result

    def _forget_failures(self, source: Source) -> None:
        for each in (PATIENCE, PATIENCE_WITH_FAULTS):
            del self._failed_in_a_row[(*source.key, each)]

    def _failures(self, source: Source) -> int:
        """Return how often in a row a provider has failed, in whichever way."""
        return sum(self._failed_in_a_row[(*source.key, each)] for each in (PATIENCE, PATIENCE_WITH_FAULTS))

    def _tell(self, request: MediaRequest, result: MediaResult) -> None:
        with self._telling:
            self._observe(request, result)


def _patience_with(result: Medium | ProviderError) -> int | None:
    """Return how often in a row a provider may do this; None for any number, since it works."""
    if isinstance(result, (Medium, NotFoundError, ContentPolicyError)):
        return None
    return PATIENCE if isinstance(result, TransientError) else PATIENCE_WITH_FAULTS


def _is_fault(kind: Kind, reasons: Iterable[ProviderError]) -> bool:
    """Say whether it is a fault that something is missing, and not just the end of what the providers have."""
    return kind.required or not all(isinstance(reason, NotFoundError) for reason in reasons)


def _over(limit: Limit) -> BudgetError:
    amount = f"${limit.dollars:,.2f}" if limit.dollars >= 0.1 else f"${limit.dollars:.4g}"
    when = " or go on another day," if limit.since else ""
    return BudgetError(
        f"One more might exceed the {limit.name}, {amount}.",
        hint=f"Raise it ({limit.mend}),{when} and run the same command again: it asks for what is missing only.",
    )


def _class_of(failure: ProviderError) -> type[ProviderError]:
    """Return the class of this package that an error is of, be it one of a plugin's own."""
    return next(base for base in type(failure).__mro__ if base.__module__ == errors.__name__)


def _error_of(refusal: Refusal) -> ProviderError:
    found = getattr(errors, refusal.error, ProviderError)
    error: ProviderError = found(refusal.message, hint=refusal.hint or None)
    return error
