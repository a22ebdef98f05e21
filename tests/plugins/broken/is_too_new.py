"""Broken at registration: it requires a newer Deckwright, and uses something that does not exist yet."""

from deckwright import Hologram

requires_deckwright = ">=99"
print(Hologram)
