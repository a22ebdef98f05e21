"""The extras of this package, by the names that pip knows them by: what to install when a package is missing."""

OFFLINE_EXTRA = "deckwright[offline]"
ONLINE_EXTRA = "deckwright[online]"
