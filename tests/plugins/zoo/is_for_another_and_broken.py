"""Broken at import: it is for another Deckwright, as it says, and uses what that has."""

from deckwright.holograms import Projector

requires_deckwright = "==9.*"
print(Projector)
