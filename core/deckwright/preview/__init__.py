"""Previews: one HTML page with every card of a deck, as the learner will see it in Anki."""

from deckwright.preview.note_content import Origin, Origins
from deckwright.preview.page import Preview, write_preview

__all__ = ["Origin", "Origins", "Preview", "write_preview"]
