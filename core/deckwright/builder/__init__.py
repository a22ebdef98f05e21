"""The builder: from words to media, to notes, to a deck that is delivered, and a report."""

from deckwright.builder.deck import build_deck
from deckwright.builder.progress import Progress
from deckwright.builder.report import BuildReport

__all__ = ["BuildReport", "Progress", "build_deck"]
