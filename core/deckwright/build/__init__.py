"""From words to a deck: words, then media for them, then notes, then the deck goes where decks go."""

from deckwright.build.deck import BuildReport, build_deck
from deckwright.build.gather import Progress

__all__ = ["BuildReport", "Progress", "build_deck"]
