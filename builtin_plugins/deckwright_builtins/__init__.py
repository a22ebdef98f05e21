"""The plugins that come with Deckwright: every module here is one, and uses the public API only."""
