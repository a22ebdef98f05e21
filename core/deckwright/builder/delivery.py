"""Delivery: handing a deck to its targets, and saving it where no target takes it."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from deckwright.anki.package import write_package
from deckwright.builder.plan import Plan
from deckwright.builder.progress import Progress, ProgressCallback
from deckwright.diagnostics import Diagnostic
from deckwright.errors import CATCHABLE, BuildError, MissingDependencyError, ProviderError
from deckwright.providers.deck import Deck
from deckwright.providers.sync import SyncProvider, SyncResult
from deckwright.registry import ProviderRegistry
from deckwright.secrets import redact, secret_values
from deckwright.tracebacks import diagnostic_of, format_traceback

logger = logging.getLogger(__name__)


@attrs.define
class Delivery:
    """What the targets of a deck have answered; attributes as in `BuildReport`."""

    outputs: dict[str, Path | None] = attrs.field(factory=dict)
    summaries: dict[str, str] = attrs.field(factory=dict)
    problems: list[Diagnostic] = attrs.field(factory=list)
    cards: int | None = None
    seconds: float = 0.0


def require_target(plan: Plan, registry: ProviderRegistry) -> None:
    """Make sure that the deck can be delivered, before anything is generated and paid for.

    Raises:
        BuildError: None of the targets can be reached.
    """
    reasons = []
    for instance, provider in plan.providers["sync"].items():
        try:
            file = provider.destination(plan.deck, plan.output)
            if file:
                require_writable(file)
            try:
                registry.with_timeout("sync", instance, provider.check_connection)()
            except MissingDependencyError:
                raise
            except ProviderError as error:
                # Its own folder does not matter when another file was named.
                if not (file and plan.output):
                    raise
                logger.debug("%s", format_traceback(error))
        except CATCHABLE as error:
            secrets = secret_values(getattr(provider, "config", {}))
            reasons.append(str(diagnostic_of(error, instance, secrets=secrets)))
        else:
            return
    raise BuildError("\n".join(["The deck cannot be written anywhere, so nothing was generated.", *reasons]))


def require_writable(file: Path) -> None:
    """Make sure that a file can be written in its folder.

    Raises:
        BuildError: It cannot.
    """
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise BuildError(f"{file} cannot be written: {error.strerror or error}.") from None


def deliver(
    deck: Deck, targets: Mapping[str, SyncProvider], on_progress: ProgressCallback, cost: float
) -> Delivery:
    """Hand a deck to every target; `cost` is that of the build, for the progress.

    Raises:
        BuildError: None of them takes it.
    """
    delivery = Delivery()
    started = time.perf_counter()
    for index, (instance, provider) in enumerate(targets.items()):
        on_progress(Progress("deck", index, len(targets), cost))
        result = _deliver_to(provider, deck)
        if result.success or result.processed_count:
            delivery.outputs[instance] = result.metadata.get("path")
            if summary := result.metadata.get("summary"):
                delivery.summaries[instance] = str(summary)
            delivery.cards = result.metadata.get("cards", delivery.cards)
        if not result.success:
            how = "only be written in part" if instance in delivery.outputs else "not be written"
            message = f"The deck could {how} ({instance}): {result.error_message}"
            delivery.problems.append(Diagnostic("error", "", message))
    on_progress(Progress("deck", len(targets), len(targets), cost))
    delivery.seconds = time.perf_counter() - started
    if not delivery.outputs:
        raise save_fallback(deck, delivery.problems)
    return delivery


def _deliver_to(provider: SyncProvider, deck: Deck) -> SyncResult:
    secrets = tuple(secret_values(getattr(provider, "config", {})))
    try:
        result = provider.sync_deck(deck)
        if not isinstance(result, SyncResult):
            message = f"it returned {type(result).__name__}, not a SyncResult"
        elif result.success and (path := result.metadata.get("path")) and not Path(path).exists():
            message = f"it reported writing {path}, but there is no such file"
        else:
            return attrs.evolve(result, error_message=redact(str(result.error_message), secrets))
    except CATCHABLE as error:
        logger.debug("%s", format_traceback(error, secrets))
        message = str(diagnostic_of(error, ""))
    return SyncResult(success=False, processed_count=0, error_message=redact(message, secrets))


def save_fallback(deck: Deck, problems: list[Diagnostic]) -> BuildError:
    """Save a deck that no target takes, since it may have been paid for; return the error that says where."""
    message = "\n".join(map(str, problems))
    path = Path(f"deckwright-{time.strftime('%Y%m%d-%H%M%S')}.apkg").absolute()
    try:
        write_package(path, [deck], deck.media)
    except CATCHABLE as error:
        logger.debug("%s", format_traceback(error))
        try:
            folder = tempfile.mkdtemp(prefix="deckwright-saved-")
            for file in deck.media:
                shutil.copy(file, folder)
        except OSError as failure:
            return BuildError(f"{message}\nIt could not be saved either: {failure.strerror or failure}.")
        return BuildError(message, hint=f"Its sounds and pictures are saved in {folder}.")
    return BuildError(message, hint=f"It is saved in {path}; import that in Anki, or build again.")
