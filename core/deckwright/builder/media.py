"""Media: the kinds that cards show, the file for a word, and the lack of one."""

from __future__ import annotations

import os
from collections.abc import Iterable

import attrs

from deckwright.builder.words import Word
from deckwright.errors import NotFoundError, ProviderError
from deckwright.providers.media import MediaRequest


@attrs.frozen
class MediaKind:
    """A kind of media that cards show."""

    type: str
    label: str
    suffix: str  # of the files that providers are asked for; they may deliver another
    required: bool  # whether a word without it counts as failed

    def request_for(self, word: Word) -> MediaRequest:
        """Return what providers are asked for a word."""
        params = {"language": word.language}
        if word.reading:
            params["reading"] = word.reading
        if word.translation:
            params["translation"] = word.translation
        return MediaRequest(self.type, word.text, params)

    def is_failure(self, errors: Iterable[ProviderError]) -> bool:
        """Say whether a word without it counts as failed, and not just as one that no provider has it for."""
        return self.required or not all(isinstance(error, NotFoundError) for error in errors)


# Every word should be heard; many words, like most phrases, cannot be drawn.
KINDS = (
    MediaKind("audio", "sounds", ".mp3", required=True),
    MediaKind("image", "pictures", ".png", required=False),
)


@attrs.frozen
class Medium:
    """One finished file, from an instance of a provider; `is_new` if this build made it."""

    file: str  # not a path: a hundred thousand of those would fill the memory
    instance: str
    attribution: str = ""
    is_new: bool = True

    @property
    def name(self) -> str:
        """The file's bare name."""
        return os.path.basename(self.file)  # noqa: PTH119


@attrs.frozen
class MissingMedium:
    """What a word has to do without.

    Attributes:
        word: The word.
        kind: What is missing.
        reasons: Why, by the instance of each provider that was asked.
        failed: Whether that is a failure, and not just something that no provider has.
    """

    word: Word
    kind: MediaKind
    reasons: dict[str, ProviderError]
    failed: bool
