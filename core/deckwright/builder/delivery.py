"""Where a deck goes to: whether there is such a place, handing it over, and keeping it where nobody takes it."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from pathlib import Path

import attrs

from deckwright.anki.package import write_package
from deckwright.builder.plan import Plan
from deckwright.errors import CATCHABLE, BuildError, MissingDependencyError, ProviderError
from deckwright.plugins.records import problem_of
from deckwright.providers.deck import Deck
from deckwright.providers.sync import SyncProvider, SyncResult
from deckwright.registry import ProviderRegistry
from deckwright.secrets import redact, secret_values
from deckwright.tracebacks import format_traceback

logger = logging.getLogger(__name__)


def require_a_target(plan: Plan, registry: ProviderRegistry) -> None:
    """Make sure that the deck has somewhere to go, before anything is made and paid for.

    Raises:
        BuildError: None of the targets can be reached.
    """
    faults = []
    for instance, provider in plan.providers["sync"].items():
        try:
            file = provider.destination(plan.deck, plan.output)
            if file:
                require_writable(file)
            try:
                registry.limited("sync", instance, provider.check_connection)()
            except MissingDependencyError:
                raise
            except ProviderError as error:
                # Where it would write by itself is not what matters when another file was asked for.
                if not (file and plan.output):
                    raise
                logger.debug("%s", format_traceback(error))
        except CATCHABLE as error:
            said = str(problem_of(error))
            faults.append(f"{instance}: {redact(said, secret_values(getattr(provider, 'config', {})))}")
        else:
            return
    raise BuildError("\n".join(["The deck has nowhere to go, so nothing was made.", *faults]))


def hand_over(deck: Deck, provider: SyncProvider) -> SyncResult:
    """Have a provider take the deck; give a result whatever it does."""
    secrets = list(secret_values(getattr(provider, "config", {})))
    try:
        result = provider.sync_deck(deck)
        if not isinstance(result, SyncResult):
            message = f"it returned {type(result).__name__}, not a SyncResult"
        elif result.success and (path := result.metadata.get("path")) and not Path(path).exists():
            message = f"it says that it wrote {path}, and there is no such file"
        else:
            return attrs.evolve(result, error_message=redact(str(result.error_message), secrets))
    except CATCHABLE as error:
        logger.debug("%s", format_traceback(error, secrets))
        message = str(problem_of(error))
    return SyncResult(success=False, processed_count=0, error_message=redact(message, secrets))


def rescued(deck: Deck, refused: list[str]) -> BuildError:
    """Keep a deck that nobody takes, lest what was made and paid for be lost; return the error that says where."""
    message = "\n".join(refused)
    path = Path(f"deckwright-{time.strftime('%Y%m%d-%H%M%S')}.apkg").absolute()
    try:
        write_package(path, [deck], deck.media)
    except CATCHABLE as error:
        logger.debug("%s", format_traceback(error))
        try:
            folder = tempfile.mkdtemp(prefix="deckwright-kept-")
            for file in deck.media:
                shutil.copy(file, folder)
        except OSError as failure:
            return BuildError(f"{message}\nNor can it be kept: {failure.strerror or failure}.")
        return BuildError(message, hint=f"Its sounds and pictures are kept in {folder}.")
    return BuildError(message, hint=f"It is kept in {path}; import that in Anki, or build again.")


def require_writable(file: Path) -> None:
    """Make sure that a file can be written in the folder where it is to be.

    Raises:
        BuildError: It cannot.
    """
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise BuildError(f"{file} cannot be written: {error.strerror or error}.") from None
