"""The store: the files that builds have made and paid for, and a ledger of them and of every dollar.

The store is a folder. Several processes may use it at once, and each may be killed at any moment: what was recorded
stays recorded, and what was in flight is known to have been.
"""

from deckwright.store.cache_entries import CacheEntry, NegativeEntry, Scope, Selection
from deckwright.store.folder import ENVIRONMENT_VARIABLE, Store, StoreError, default_folder
from deckwright.store.run import Run
from deckwright.store.spending import (
    AlreadyCached,
    Limit,
    LimitReached,
    MustWait,
    ProviderRef,
    Reservation,
    current_day,
)

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "AlreadyCached",
    "CacheEntry",
    "Limit",
    "LimitReached",
    "MustWait",
    "NegativeEntry",
    "ProviderRef",
    "Reservation",
    "Run",
    "Scope",
    "Selection",
    "Store",
    "StoreError",
    "current_day",
    "default_folder",
]
