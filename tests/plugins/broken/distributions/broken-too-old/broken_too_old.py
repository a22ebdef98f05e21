"""Broken: its distribution depends on a Deckwright of long ago."""

raise RuntimeError("it is not even to be imported")
