"""Words: from a word list, read by the data provider for its kind of file, or from a program's own list."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs

from deckwright.errors import CATCHABLE, DataError
from deckwright.plugins.timeouts import GENERATION_TIME_FACTOR
from deckwright.registry import ProviderRegistry
from deckwright.secrets import secret_values
from deckwright.toolkit.languages import language_in_name, language_tag
from deckwright.tracebacks import diagnostic_of, format_traceback

logger = logging.getLogger(__name__)

# Columns that have a field of their own on the card; all others are extra columns.
_KNOWN_COLUMNS = ("word", "translation", "reading", "example", "tags", "language")


@attrs.frozen
class Word:
    """One word to learn.

    Attributes:
        text: The word itself.
        language: Its language, as a BCP 47 tag.
        translation: What it means.
        reading: How it is read, where its script does not show that.
        example: A sentence with it.
        tags: Tags, without spaces.
        extra: The extra columns of its list, by their headers.
    """

    text: str
    language: str
    translation: str = ""
    reading: str = ""
    example: str = ""
    tags: tuple[str, ...] = ()
    extra: dict[str, str] = attrs.field(factory=dict)


def load_words(
    source: Path | Iterable[Any], registry: ProviderRegistry, pipeline: str, language: str | None
) -> tuple[list[Word], int]:
    """Load words from a file, with a data provider of the pipeline, or from rows.

    Words that have no language of their own have `language`, or that of the file's name.

    Returns:
        The words, in order, each once; and how many more there were.

    Raises:
        DataError: The file cannot be read, or its words are wrong.
    """
    if isinstance(source, Mapping):
        raise DataError("The words must be a list of texts or tables, not one table.")
    rows = _read_rows(source, registry, pipeline) if isinstance(source, Path) else source
    if language:
        language = language_tag(language)
    elif isinstance(source, Path):
        language = language_in_name(source)
    return make_words(rows, language, str(source) if isinstance(source, Path) else "the word list")


def _read_rows(path: Path, registry: ProviderRegistry, pipeline: str) -> Iterator[Any]:
    """Read a word list with the first of the pipeline's data providers that reads such files."""
    if not path.exists():
        raise DataError(f"There is no word list {path}.")
    suffix = path.suffix.lower()
    readable: set[str] = set()
    for instance, provider in registry.for_pipeline(pipeline)["data"].items():
        info = registry.info_of("data", instance)
        endings = info.traits.reads if info else ()
        if suffix in endings:
            # The instance's own settings, for the folder of this file.
            settings = {**provider.config, "base_path": str(path.parent), "files": []}
            rows = _read_with(registry, instance, settings, path)
            if not isinstance(rows, list):
                raise DataError(
                    f"{path}: a word list must be a list, not a {type(rows).__name__}.",
                    hint='Write ["one", "two"], or [{"word": "one", "translation": "..."}].',
                )
            return _consume(rows)
        readable.update(endings)
    on_offer = [info for info, _ in registry.plugins.describe() if info.type == "data"]
    if readers := [info.name for info in on_offer if suffix in info.traits.reads]:
        hint = f'Add [providers.data.{readers[0]}] with pipelines = ["{pipeline}"] to the configuration.'
    else:
        hint = f"Save it in a format that can be read: {', '.join(sorted(readable)) or 'none'}."
    raise DataError(
        f"{path}: no data provider of the pipeline {pipeline!r} reads {suffix or 'such'} files.", hint=hint
    )


def _read_with(registry: ProviderRegistry, instance: str, settings: dict[str, Any], path: Path) -> Any:
    """Read a word list with a new data provider like that of an instance."""
    try:
        reader = registry.plugins.make("data", registry.name_of("data", instance), settings)
        with ExitStack() as stack:
            stack.callback(registry.with_timeout("data", instance, reader.close))
            load = registry.with_timeout("data", instance, reader.load_data, factor=GENERATION_TIME_FACTOR)
            return load(path.name)
    except CATCHABLE as error:
        secrets = list(secret_values(settings))
        logger.debug("%s", format_traceback(error, secrets))
        if isinstance(error, DataError):
            error.redact(secrets)
            raise error from None
        doing = f"the data provider {instance} cannot read it"
        problem = diagnostic_of(error, str(path), doing=doing, secrets=secrets)
        raise DataError(f"{path}: {problem.message}.", hint=problem.hint or None) from None


def _consume(rows: list[Any]) -> Iterator[Any]:
    """Yield the rows, and free the memory of each."""
    rows.reverse()
    while rows:
        yield rows.pop()


def make_words(rows: Iterable[Any], language: str | None, source: str) -> tuple[list[Word], int]:
    """Make words of rows, which are dicts or bare strings; `source` is the list's name in messages.

    Raises:
        DataError: A row is not a word, or has no language; or there is no word at all.
    """
    words: dict[tuple[str, ...], Word] = {}
    count = 0
    for count, row in enumerate(rows, 1):
        word = _make_word(row, language, source, count)
        words.setdefault((word.language, word.text, word.reading, word.translation), word)
    if not words:
        raise DataError(f"{source}: it contains no words.")
    return list(words.values()), count - len(words)


def _make_word(row: Any, language: str | None, source: str, number: int) -> Word:
    columns = {"word": row} if isinstance(row, str) else row
    if not isinstance(columns, Mapping) or not _text(columns.get("word")):
        raise DataError(
            f"{source}: item {number} is not a word: {row!r:.60}.",
            hint='A word is text, or a table with a "word" in it.',
        )
    own_language = _text(columns.get("language"))
    if not own_language and not language:
        raise DataError(
            f"{source}: item {number}, {_text(columns['word'])!r:.40}, has no language.",
            hint="Set one for all words, such as --language es, or add a column `language` to the list.",
        )
    try:
        tag = language_tag(own_language or language or "")
    except DataError as error:
        raise DataError(f"{source}: item {number}: {error.message}", hint=error.hint) from None
    return Word(
        text=_text(columns["word"]),
        language=tag,
        translation=_text(columns.get("translation")),
        reading=_text(columns.get("reading")),
        example=_text(columns.get("example")),
        tags=_tags(columns.get("tags")),
        extra={
            _text(key): _text(value)
            for key, value in columns.items()
            if key not in _KNOWN_COLUMNS and _text(value)
        },
    )


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    if value is None:
        return ""
    # Half a surrogate pair, which JSON can hold, is no character: nothing could store or speak it. And "é" may
    # be one character or two; like Anki, take the one, so that two spellings do not make two notes.
    text = str(value).encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFC", text).strip()


def _tags(value: Any) -> tuple[str, ...]:
    parts = map(_text, value) if isinstance(value, (list, tuple)) else _text(value).replace(",", " ").split()
    return tuple("_".join(part.split()) for part in parts if part)
