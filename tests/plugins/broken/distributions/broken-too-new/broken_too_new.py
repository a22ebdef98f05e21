"""Broken: its distribution depends on a Deckwright that does not exist yet."""

raise RuntimeError("it is not even to be imported")
