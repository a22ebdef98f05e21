"""The version of Deckwright, alone in its file so that reading it costs nothing."""

__version__ = "0.1.0"
