"""An imitation of a running Anki with its add-on AnkiConnect, on collections in memory or of the real Anki."""
