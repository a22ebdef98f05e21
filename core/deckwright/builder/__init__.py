"""From words to a deck: words, then media for them, then notes, then the deck goes where decks go."""

from deckwright.builder.deck import BuildReport, build_deck
from deckwright.builder.media_stage import Progress

__all__ = ["BuildReport", "Progress", "build_deck"]
