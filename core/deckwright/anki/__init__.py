"""Anki: its packages, and the note type and cards of the decks that a build makes."""
