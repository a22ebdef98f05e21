"""Media for words: each word's sound and picture, from the first provider of the pipeline that has one."""

from __future__ import annotations

import hashlib
import itertools
import logging
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from deckwright.build.words import Word
from deckwright.errors import (
    FAULTS,
    BadMediaError,
    NotFoundError,
    ProviderError,
    TransientError,
    told,
    trace,
    unexpected,
)
from deckwright.media_files import media_ending
from deckwright.plugins.limits import OverdueError
from deckwright.providers.media import MediaRequest, MediaResult
from deckwright.secrets import secret_values

logger = logging.getLogger(__name__)

Generate = Callable[[MediaRequest], MediaResult]

# So many passing faults in a row, each after all tries of the provider's own, and a service is taken for down.
PATIENCE = 3


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
        path: The file; its name is made from its content.
        instance: The configured provider that it came from.
        attribution: The credit that is due; empty when none is.
        cost: What it cost, in US dollars, as far as the provider says.
    """

    path: Path
    instance: str
    attribution: str = ""
    cost: float = 0.0


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
    """Makes the media of one build.

    Args:
        providers: Those that the pipeline may see: type, then instance, to provider.
        folder: Where the files go.
        attribution: Gives the credit that is always due to the provider of a type and instance.
        observe: Called with each request and what came of it in the end.
        limited: Gives a function of the provider of a type and instance as one that does not take for ever.

    Attributes:
        out: By type and instance, the providers that are asked no more, and why.
        faults: By type and instance, what providers did that none should, whatever they are asked for.
    """

    def __init__(
        self,
        providers: Mapping[str, Mapping[str, Any]],
        folder: Path,
        attribution: Callable[[str, str], str],
        observe: Callable[[MediaRequest, MediaResult], None],
        limited: Callable[[str, str, Generate], Generate],
    ) -> None:
        self._providers = providers
        self._folder = folder
        self._attribution = attribution
        self._observe = observe
        self._limited = limited
        self._numbers = itertools.count(1)
        # Providers that it is pointless to ask again in this run, with the reason.
        self.out: dict[tuple[str, str], ProviderError] = {}
        self.faults: dict[tuple[str, str], list[ProviderError]] = {}
        # How often in a row a provider has failed in a way that may pass.
        self._failed_in_a_row: Counter[tuple[str, str]] = Counter()

    @property
    def kinds(self) -> Iterable[Kind]:
        """The kinds of media that the pipeline has any provider of."""
        return [kind for kind in KINDS if self._providers.get(kind.type)]

    def make(self, word: Word, kind: Kind) -> Medium | Missing:
        """Ask one provider after the other until one delivers."""
        reasons: dict[str, ProviderError] = {}
        request = request_for(word, kind)
        for instance, provider in self._providers[kind.type].items():
            key = (kind.type, instance)
            failure = self.out.get(key)
            # A file of its own for each: what a provider leaves behind, or writes late, must not pass for another's.
            request = attrs.evolve(
                request, output_path=self._folder / f"new-{next(self._numbers)}{kind.suffix}"
            )
            if failure is None:
                result = self._ask(*key, provider, request)
                made = self._kept(result, kind, instance) if isinstance(result, MediaResult) else result
                self._remember(key, made)
                if isinstance(made, Medium):
                    self._observe(request, cast("MediaResult", result))
                    return made
                failure = made
            reasons[instance] = failure
        *_, last = reasons.values()
        self._observe(request, MediaResult(success=False, error=last.message, failure=last))
        failed = kind.required or not all(isinstance(reason, NotFoundError) for reason in reasons.values())
        return Missing(word, kind, reasons, failed)

    def _ask(
        self, type: str, instance: str, provider: Any, request: MediaRequest
    ) -> MediaResult | ProviderError:
        """Have a provider try; return an error in place of a result without a file, whatever the provider does."""
        secrets = list(secret_values(getattr(provider, "config", {})))
        failure: ProviderError
        try:
            result = self._limited(type, instance, provider.generate_media)(request)
            if not isinstance(result, MediaResult):
                failure = BadMediaError(f"it returned {result.__class__.__name__}, not a MediaResult")
            elif not result.success:
                failure = ProviderError(str(result.error or "no reason given"))
                if isinstance(result.failure, ProviderError):
                    failure = result.failure
            elif result.file_path is None or not result.file_path.is_file():
                failure = BadMediaError("it says that it made a file, and there is none")
            else:
                media_ending(result.file_path, request.type)
                return result
        except OverdueError as error:
            failure = self.out[type, instance] = ProviderError(error.message, hint=error.hint)
            failure.is_unforeseen = True
        except FAULTS as error:
            logger.debug("%s", trace(error, secrets))
            failure = error if isinstance(error, ProviderError) else unexpected(error)
        failure.redact(secrets)
        return failure

    def _remember(self, key: tuple[str, str], result: Medium | ProviderError) -> None:
        """Take note of who need not be asked again, and of whose code is at fault."""
        if isinstance(result, BadMediaError) or (isinstance(result, ProviderError) and result.is_unforeseen):
            self.faults.setdefault(key, []).append(result)
        if isinstance(result, TransientError):
            self._failed_in_a_row[key] += 1
        else:
            del self._failed_in_a_row[key]
        if isinstance(result, ProviderError) and (
            result.out_for_run or self._failed_in_a_row[key] >= PATIENCE
        ):
            self.out[key] = result

    def _kept(self, result: MediaResult, kind: Kind, instance: str) -> Medium | ProviderError:
        """Name a file by its content, so that the same sound or picture is the same file in every build."""
        path = cast("Path", result.file_path)
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:20]
            kept = self._folder / f"deckwright-{digest}{media_ending(path, kind.type)}"
            # A file elsewhere is the provider's own, in a cache of its own perhaps.
            if path.parent == self._folder:
                path.replace(kept)
            else:
                shutil.copyfile(path, kept)
        except OSError as error:
            return BadMediaError(f"its file cannot be kept ({told(error)})")
        about = result.metadata if isinstance(result.metadata, Mapping) else {}
        credit = about.get("attribution") or self._attribution(kind.type, instance)
        return Medium(kept, instance, str(credit), _dollars(about.get("cost")))


def _dollars(cost: Any) -> float:
    """Return a cost as a number; one that is none counts nothing."""
    try:
        amount = float(cost)
    except (TypeError, ValueError):
        return 0.0
    return amount if math.isfinite(amount) else 0.0
