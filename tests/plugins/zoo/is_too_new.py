"""Broken at registration: it is for a Deckwright that does not exist yet, and misses what is not there."""

from deckwright import Hologram

requires_deckwright = ">=99"
print(Hologram)
