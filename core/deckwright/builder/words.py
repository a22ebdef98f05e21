"""Words: from a file, through the data provider that reads its kind, or from a program's own list."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import CATCHABLE, DataError
from deckwright.plugins.records import problem_of
from deckwright.registry import PAINTING_TAKES, ProviderRegistry
from deckwright.secrets import redact, secret_values
from deckwright.toolkit.languages import language_in_name, language_tag
from deckwright.tracebacks import format_traceback

logger = logging.getLogger(__name__)

# Columns with a place of their own on the card; all others are shown as further facts.
_KNOWN = ("word", "translation", "reading", "example", "tags", "language")


@attrs.frozen
class Word:
    """One word to learn.

    Attributes:
        text: The word itself.
        language: Its language, as a BCP 47 tag.
        translation: What it means.
        reading: How it is read, where its script does not tell.
        example: A sentence with it.
        tags: Tags, without spaces.
        facts: Further columns of its list, by their headers.
    """

    text: str
    language: str
    translation: str = ""
    reading: str = ""
    example: str = ""
    tags: tuple[str, ...] = ()
    facts: dict[str, str] = attrs.field(factory=dict)


def read_rows(path: Path, registry: ProviderRegistry, pipeline: str) -> Iterator[Any]:
    """Read a word list with the first of the pipeline's data providers that reads such files.

    Raises:
        DataError: There is no such file, none of them reads it, or it cannot be read.
    """
    if not path.exists():
        raise DataError(f"There is no word list {path}.")
    suffix = path.suffix.lower()
    readable: set[str] = set()
    for instance, provider in registry.for_pipeline(pipeline)["data"].items():
        info = registry.info_of("data", instance)
        endings = info.traits.reads if info else ()
        readable.update(endings)
        if suffix in endings:
            # The instance's own settings, for the folder of this file.
            settings = {**provider.config, "base_path": str(path.parent), "files": []}
            try:
                reader = registry.plugins.make("data", registry.name_of("data", instance), settings)
                with ExitStack() as stack:
                    stack.callback(registry.limited("data", instance, reader.close))
                    rows = registry.limited("data", instance, reader.load_data, times=PAINTING_TAKES)(
                        path.name
                    )
            except CATCHABLE as error:
                secrets = list(secret_values(settings))
                logger.debug("%s", format_traceback(error, secrets))
                if isinstance(error, DataError):
                    error.redact(secrets)
                    raise error from None
                problem = problem_of(error, f"the data provider {instance} cannot read it")
                mend = redact(problem.mend, secrets)
                raise DataError(f"{path}: {redact(problem.what, secrets)}.", hint=mend or None) from None
            if not isinstance(rows, list):
                raise DataError(
                    f"{path}: a word list is a list; this is a {type(rows).__name__}.",
                    hint='Write ["one", "two"], or [{"word": "one", "translation": "..."}].',
                )
            return _taken(rows)
    on_offer = [info for info, _ in registry.plugins.describe() if info.type == "data"]
    if readers := [info.name for info in on_offer if suffix in info.traits.reads]:
        hint = f'Add [providers.data.{readers[0]}] with pipelines = ["{pipeline}"] to the configuration.'
    else:
        hint = f"Save it as one of those that can be read: {', '.join(sorted(readable)) or 'none'}."
    raise DataError(
        f"{path}: no data provider of the pipeline {pipeline!r} reads {suffix or 'such'} files.", hint=hint
    )


def _taken(rows: list[Any]) -> Iterator[Any]:
    """Yield the rows, and let go of each."""
    rows.reverse()
    while rows:
        yield rows.pop()


def make_words(rows: Iterable[Any], language: str | None, source: str) -> tuple[list[Word], int]:
    """Make words of rows: dicts such as data providers give, or bare strings.

    Args:
        rows: The rows.
        language: The language of those that do not tell theirs.
        source: What to call the list in messages.

    Returns:
        The words, in order, and how many were left out because they stand in the list already.

    Raises:
        DataError: A row is not a word, nothing tells its language, or there is no word at all.
    """
    words: dict[tuple[str, ...], Word] = {}
    count = 0
    for count, row in enumerate(rows, 1):
        columns = {"word": row} if isinstance(row, str) else row
        if not isinstance(columns, Mapping) or not _text(columns.get("word")):
            raise DataError(
                f"{source}: item {count} is not a word: {row!r:.60}.",
                hint='A word is text, or a table with a "word" in it.',
            )
        own = _text(columns.get("language"))
        if not own and not language:
            raise DataError(
                f"{source}: nothing tells the language of item {count}, {_text(columns['word'])!r:.40}.",
                hint="Give the language of all, such as --language es, or fill a column `language` in the list.",
            )
        try:
            tag = language_tag(own or language or "")
        except DataError as error:
            raise DataError(f"{source}: item {count}: {error.message}", hint=error.hint) from None
        word = Word(
            text=_text(columns["word"]),
            language=tag,
            translation=_text(columns.get("translation")),
            reading=_text(columns.get("reading")),
            example=_text(columns.get("example")),
            tags=_tags(columns.get("tags")),
            facts={
                _text(key): _text(value)
                for key, value in columns.items()
                if key not in _KNOWN and _text(value)
            },
        )
        words.setdefault((word.language, word.text, word.reading, word.translation), word)
    if not words:
        raise DataError(f"{source}: there is no word in it.")
    return list(words.values()), count - len(words)


def language_for(path: Path | None, asked: str | None, configured: str | None) -> str | None:
    """Return the language that was asked for, or configured, or that the file's name tells."""
    if asked or configured:
        return language_tag(asked or configured or "")
    return language_in_name(path) if path else None


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    if value is None:
        return ""
    # Half a surrogate pair, which JSON can hold, is no character: nothing could store or speak it. And "é" may
    # be one character or two; as Anki does, take the one, lest two spellings make two notes.
    text = str(value).encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFC", text).strip()


def _tags(value: Any) -> tuple[str, ...]:
    parts = map(_text, value) if isinstance(value, (list, tuple)) else _text(value).replace(",", " ").split()
    return tuple("_".join(part.split()) for part in parts if part)
