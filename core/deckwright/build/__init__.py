"""From words to a deck: words, then media for them, then notes, then the deck goes where decks go."""

from deckwright.build.deck import BuildReport, build_deck

__all__ = ["BuildReport", "build_deck"]
