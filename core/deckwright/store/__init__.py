"""The store: the files that builds have made and paid for, and a ledger of them and of every dollar.

The store is a folder. Several processes may use it at once, and each may be killed at any moment: what was recorded
stays recorded, and what was in flight is known to have been.
"""

from deckwright.store.cache_entries import CacheEntry, NegativeEntry, ProviderRef
from deckwright.store.errors import StoreError
from deckwright.store.folder import ENVIRONMENT_VARIABLE, Store, default_folder
from deckwright.store.ledger import AlreadyCached, Limit, LimitReached, Reservation, current_day
from deckwright.store.run import Run

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "AlreadyCached",
    "CacheEntry",
    "Limit",
    "LimitReached",
    "NegativeEntry",
    "ProviderRef",
    "Reservation",
    "Run",
    "Store",
    "StoreError",
    "current_day",
    "default_folder",
]
