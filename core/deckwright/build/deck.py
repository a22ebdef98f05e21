"""The build: words to media, to notes, to a deck that is handed over, and a report of it all."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from deckwright.build.media import KINDS, Kind, MediaMaker, Medium, Missing
from deckwright.build.notes import escape, make_notes
from deckwright.build.notetype import note_type
from deckwright.build.plan import Plan, make_plan
from deckwright.build.words import PAINTING_TAKES
from deckwright.config import Config
from deckwright.errors import FAULTS, BuildError, MissingDependencyError, ProviderError, trace
from deckwright.packages import write_package
from deckwright.plugins.records import problem_of
from deckwright.providers.sync import Deck, SyncProvider, SyncResult
from deckwright.registry import ProviderRegistry
from deckwright.secrets import redact, secret_values

logger = logging.getLogger(__name__)

# Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


@attrs.frozen
class BuildReport:
    """What came of a build.

    Attributes:
        deck: The deck's name.
        outputs: Where it went: each target's instance, and the file it wrote, if it writes one.
        told: What a target says of it, by instance: how much was new, and such.
        words: How many words there were.
        repeated: How many more the list held that stood in it already.
        cards: How many cards the deck has; None where no target says.
        delivered: How many sounds, pictures and so on there are, by label, each of how many.
        sources: How many of them came from whom: by label, then instance.
        cost: What the media cost in US dollars, as far as their providers say.
        missing: What words have to do without, and why.
        seconds: How long each stage took.
        problems: Providers, plugins and targets that do not work, whether or not it showed in the deck.
        warnings: What is odd about the configuration or worth knowing of the plugins.
    """

    deck: str
    outputs: dict[str, Path | None]
    told: dict[str, str]
    words: int
    repeated: int
    cards: int | None
    delivered: dict[str, tuple[int, int]]
    sources: dict[str, dict[str, int]]
    cost: float
    missing: tuple[Missing, ...]
    seconds: dict[str, float]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def failed(self) -> tuple[Missing, ...]:
        """Those of `missing` that are faults."""
        return tuple(missing for missing in self.missing if missing.failed)


def build_deck(
    words: str | os.PathLike[str] | Iterable[Any],
    *,
    language: str | None = None,
    config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    deck: str | None = None,
    pipeline: str | None = None,
    plugins: Iterable[object] = (),
    progress: Progress | None = None,
) -> BuildReport:
    """Build a deck from words.

    Args:
        words: The path of a word list; or the words themselves, as text or as dicts with `word` and
            `translation`, `reading`, `example`, `tags`, `language`, and further columns.
        language: The language of the words: a tag such as `"es"`, or its English name. By default each word's
            own, then the configuration's, then what the file's name tells.
        config: As for `ProviderRegistry.from_config`.
        output: The file to write; by default it is named for the deck.
        deck: The deck's name in Anki; by default it is named for the word list.
        pipeline: Which providers the build may see; by default those of `vocabulary`.
        plugins: Plugins handed over by the program, beside those that are found.
        progress: Called as the build goes on: with the stage, how much of it is done, and how much there is.

    Returns:
        The report. Media that no provider delivers are in it; the deck is built without them.

    Raises:
        ConfigError: The configuration is wrong.
        DataError: The words are wrong, or cannot be read; the message says where and why.
        BuildError: The deck cannot be handed over.
    """
    with ProviderRegistry.from_config(config, plugins=plugins) as registry:
        plan = make_plan(words, registry, language=language, output=output, deck=deck, pipeline=pipeline)
        return closed(registry, run(plan, registry, progress=progress))


def closed(registry: ProviderRegistry, report: BuildReport) -> BuildReport:
    """Close the providers of a build; return its report with those that could not be closed."""
    registry.close()
    return attrs.evolve(report, problems=tuple(dict.fromkeys((*report.problems, *registry.problems()))))


def run(plan: Plan, registry: ProviderRegistry, *, progress: Progress | None = None) -> BuildReport:
    """Make the media, then the notes, then hand the deck over; errors as in `build_deck`."""
    tell = progress or (lambda stage, done, total: None)
    seconds: dict[str, float] = {}
    _require_a_target(plan, registry)
    # What a plugin that was left behind still writes there must not spoil the end.
    with tempfile.TemporaryDirectory(prefix="deckwright-", ignore_cleanup_errors=True) as folder:
        maker = MediaMaker(
            plan.providers,
            Path(folder),
            partial(_attribution, registry),
            lambda request, result: registry.plugins.notify(
                "media_generated", request=request, result=result
            ),
            partial(registry.limited, times=PAINTING_TAKES),
        )
        kinds = maker.kinds
        # Of a type whose providers all failed, nothing can be made, and the report is to say so.
        broken = {failure.type for failure in registry.failures}
        media: list[dict[str, Medium]] = [{} for _ in plan.words]
        missing = [
            Missing(word, kind, reasons={}, failed=True)
            for kind in KINDS
            if kind.type in broken and kind not in kinds
            for word in plan.words
        ]
        for kind in kinds:
            started = time.perf_counter()
            for index, word in enumerate(plan.words):
                tell(kind.label, index, len(plan.words))
                made = maker.make(word, kind)
                if isinstance(made, Missing):
                    missing.append(made)
                else:
                    media[index][kind.type] = made
            tell(kind.label, len(plan.words), len(plan.words))
            seconds[kind.label] = time.perf_counter() - started
        started = time.perf_counter()
        deck = _deck(plan, media)
        targets = plan.providers["sync"]
        outputs: dict[str, Path | None] = {}
        told: dict[str, str] = {}
        refused: list[str] = []
        cards = None
        for index, (instance, provider) in enumerate(targets.items()):
            tell("deck", index, len(targets))
            result = _hand_over(deck, provider)
            if result.success or result.processed_count:
                outputs[instance] = result.metadata.get("path")
                if said := result.metadata.get("told"):
                    told[instance] = str(said)
                cards = result.metadata.get("cards", cards)
            if not result.success:
                what = "could be handed only in part" if instance in outputs else "could not be handed"
                refused.append(f"The deck {what} to {instance}: {result.error_message}")
        tell("deck", len(targets), len(targets))
        if not outputs:
            raise _rescued(deck, refused)
        seconds["deck"] = time.perf_counter() - started
    return BuildReport(
        deck=plan.deck,
        outputs=outputs,
        told=told,
        words=len(plan.words),
        repeated=plan.repeated,
        cards=cards,
        delivered={
            kind.label: _delivered(kind, media) for kind in KINDS if kind in kinds or kind.type in broken
        },
        sources={kind.label: _sources(kind, media) for kind in kinds},
        cost=sum(medium.cost for made in media for medium in made.values()),
        missing=tuple(missing),
        seconds=seconds,
        problems=(
            *refused,
            *_hidden(maker, missing),
            *registry.problems(),
        ),
        warnings=(*plan.warnings, *registry.warnings, *registry.plugins.remarks()),
    )


def _require_a_target(plan: Plan, registry: ProviderRegistry) -> None:
    """Make sure that the deck has somewhere to go, before anything is made and paid for.

    Raises:
        BuildError: None of the targets can be reached.
    """
    faults = []
    for instance, provider in plan.providers["sync"].items():
        try:
            file = provider.destination(plan.deck, plan.output)
            if file:
                _require_writable(file)
            try:
                registry.limited("sync", instance, provider.check_connection)()
            except MissingDependencyError:
                raise
            except ProviderError as error:
                # Where it would write by itself is not what matters when another file was asked for.
                if not (file and plan.output):
                    raise
                logger.debug("%s", trace(error))
        except FAULTS as error:
            said = str(problem_of(error))
            faults.append(f"{instance}: {redact(said, secret_values(getattr(provider, 'config', {})))}")
        else:
            return
    raise BuildError("\n".join(["The deck has nowhere to go, so nothing was made.", *faults]))


def _require_writable(file: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise BuildError(f"{file} cannot be written: {error.strerror or error}.") from None


def _rescued(deck: Deck, refused: list[str]) -> BuildError:
    """Keep a deck that nobody takes, lest what was made and paid for be lost; return the error that says where."""
    message = "\n".join(refused)
    path = Path(f"deckwright-{time.strftime('%Y%m%d-%H%M%S')}.apkg").absolute()
    try:
        write_package(path, [deck], deck.media)
    except FAULTS as error:
        logger.debug("%s", trace(error))
        try:
            folder = tempfile.mkdtemp(prefix="deckwright-kept-")
            for file in deck.media:
                shutil.copy(file, folder)
        except OSError as failure:
            return BuildError(f"{message}\nNor can it be kept: {failure.strerror or failure}.")
        return BuildError(message, hint=f"Its sounds and pictures are kept in {folder}.")
    return BuildError(message, hint=f"It is kept in {path}; import that in Anki, or build again.")


def _hand_over(deck: Deck, provider: SyncProvider) -> SyncResult:
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
    except FAULTS as error:
        logger.debug("%s", trace(error, secrets))
        message = str(problem_of(error))
    return SyncResult(success=False, processed_count=0, error_message=redact(message, secrets))


def _deck(plan: Plan, media: list[dict[str, Medium]]) -> Deck:
    files = [medium for made in media for medium in made.values()]
    credits = sorted({medium.attribution for medium in files} - {""})
    count = len(plan.words)
    lines = [f"{count} {'word' if count == 1 else 'words'}, made with Deckwright.", *credits]
    return Deck(
        name=plan.deck,
        is_named=plan.is_named,
        note_type=note_type(),
        notes=make_notes(plan.deck, plan.words, media),
        media=tuple(dict.fromkeys(medium.path for medium in files)),
        output=plan.output,
        description="<br>".join(map(escape, lines)),
    )


def _attribution(registry: ProviderRegistry, type: str, instance: str) -> str:
    info = registry.info_of(type, instance)
    return info.traits.attribution if info else ""


def _hidden(maker: MediaMaker, missing: list[Missing]) -> Iterator[str]:
    """Say who was given up or is at fault, where nothing that is missing shows it: others may have stepped in."""
    shown = {(item.kind.type, instance) for item in missing if item.failed for instance in item.reasons}
    for type, instance in {**maker.out, **maker.faults}:
        key = (type, instance)
        if key in maker.out and key not in shown:
            yield f"{type}.{instance} was asked no more: {maker.out[key]}"
        elif key not in shown:
            first, times = maker.faults[key][0], len(maker.faults[key])
            yield f"{type}.{instance} failed {f'{times} times, first' if times > 1 else 'once'}: {first}"


def _sources(kind: Kind, media: list[dict[str, Medium]]) -> dict[str, int]:
    return dict(Counter(made[kind.type].instance for made in media if kind.type in made))


def _delivered(kind: Kind, media: list[dict[str, Medium]]) -> tuple[int, int]:
    return sum(kind.type in made for made in media), len(media)
