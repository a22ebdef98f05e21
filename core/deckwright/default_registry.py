"""The one default registry of a process, and what its plugins describe."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from deckwright.hooks import ProviderInfo
from deckwright.registry import ProviderRegistry


class _DescribedProviders(Mapping[str, Mapping[str, ProviderInfo]]):
    """What the plugins of the default registry describe: type, then name, to `ProviderInfo`. Read-only."""

    def _described(self) -> dict[str, dict[str, ProviderInfo]]:
        found: dict[str, dict[str, ProviderInfo]] = {}
        for info, _ in get_provider_registry().plugins.describe():
            found.setdefault(info.type, {})[info.name] = info
        return found

    def __getitem__(self, type: str) -> Mapping[str, ProviderInfo]:
        return MappingProxyType(self._described()[type])

    def __iter__(self) -> Iterator[str]:
        return iter(self._described())

    def __len__(self) -> int:
        return len(self._described())


MEDIA_PROVIDER_REGISTRY: Mapping[str, Mapping[str, ProviderInfo]] = _DescribedProviders()

_default_registry: ProviderRegistry | None = None
_default_lock = threading.Lock()


def get_provider_registry() -> ProviderRegistry:
    """Return the one default registry of this process, empty until someone registers something."""
    global _default_registry
    with _default_lock:
        if _default_registry is None:
            _default_registry = ProviderRegistry()
        return _default_registry
