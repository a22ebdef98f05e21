"""What builds have made and paid for, kept for the next ones: files, a ledger of them, and of every dollar.

The store is a folder. Several processes may use it at once, and each may be killed at any moment: what was recorded
is there, and what was in flight is known to have been.
"""

from deckwright.store.folder import ENVIRONMENT_VARIABLE, Place, Store, StoreError, default_folder
from deckwright.store.ledger import Asked, Kept, Limit, Refusal
from deckwright.store.run import Run

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "Asked",
    "Kept",
    "Limit",
    "Place",
    "Refusal",
    "Run",
    "Store",
    "StoreError",
    "default_folder",
]
