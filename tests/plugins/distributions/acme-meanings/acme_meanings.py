"""What words mean: a new type of provider, `meaning`, with a contract of its own, and one provider of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import attrs

from deckwright import NotFoundError, ProviderInfo, ProviderType, hookimpl


class MeaningProvider(ABC):
    """The contract. It derives from nothing of Deckwright's: a type says itself what its providers must be."""

    @abstractmethod
    def meaning_of(self, word: str) -> str:
        """Return what a word means.

        Raises:
            NotFoundError: It is not known.
        """


@attrs.define
class GlossarySettings:
    words: dict[str, str] = attrs.field(metadata={"help": "each word, and what it means"})


class Glossary(MeaningProvider):
    def __init__(self, config: Mapping[str, Any]) -> None:
        if not config.get("words"):
            raise ValueError("a glossary needs words")
        self._words = dict(config["words"])

    def meaning_of(self, word: str) -> str:
        if word not in self._words:
            raise NotFoundError(f"{word!r} is not in the glossary.")
        return self._words[word]


@hookimpl
def register_provider_types():
    return [ProviderType("meaning", MeaningProvider, "What words mean")]


@hookimpl
def describe_media_providers():
    return [ProviderInfo("meaning", "glossary", "Meanings from the configuration itself", GlossarySettings)]


@hookimpl
def register_media_provider(type, name, config):
    return Glossary(config) if (type, name) == ("meaning", "glossary") else None
