"""Previews: one HTML page with every card of a deck, as the learner will see it, before Anki has it."""

from deckwright.preview.page import Preview, write_preview
from deckwright.preview.parts import Origin, Origins

__all__ = ["Origin", "Origins", "Preview", "write_preview"]
