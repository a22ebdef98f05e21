"""Broken at import: it requires another version of Deckwright, and uses something from it."""

from deckwright.holograms import Projector

requires_deckwright = "==9.*"
print(Projector)
