"""What a plugin author tests with: see `deckwright.testing.servers` for local stand-ins of online services."""
