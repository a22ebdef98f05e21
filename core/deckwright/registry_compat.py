"""The registry's methods that the specification names: a set for each of its four types."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, cast

from deckwright.config.providers import OLD_SECTIONS, file_conflicts
from deckwright.errors import RegistrationError
from deckwright.providers.data import DataProvider
from deckwright.providers.media import MediaProvider
from deckwright.providers.sync import SyncProvider

# Providers of any other type are looked up by `get`.
SPECIFIED_TYPES = OLD_SECTIONS


class SpecifiedMethods(ABC):
    """What a `ProviderRegistry` offers to callers that know the specification's four types only."""

    _lock: threading.RLock
    # Type, then instance, to provider.
    _providers: dict[str, dict[str, Any]]
    # File to the data instance that manages it.
    _files: dict[str, str]

    @abstractmethod
    def _register(self, type: str, instance: str, provider: Any) -> None: ...

    @abstractmethod
    def get(self, type: str, instance: str) -> Any:
        """Return one provider, or None."""

    @abstractmethod
    def for_pipeline(self, pipeline: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the providers that a pipeline may see."""

    def register_data_provider(
        self, name: str, provider: DataProvider, config: Mapping[str, Any] | None = None
    ) -> None:
        """Register a data provider; a second one under the same name replaces the first.

        Args:
            name: The instance.
            provider: The provider.
            config: `config["files"]` lists what it manages; without it, the provider is asked.

        Raises:
            ValueError: Another instance manages one of the files.
        """
        files = config.get("files") if config else getattr(provider, "managed_files", None)
        files = files if isinstance(files, (list, tuple)) else ()
        with self._lock:
            claims = [(self._files.get(file, name), [file]) for file in files]
            if conflicts := file_conflicts([*claims, (name, files)]):
                raise RegistrationError("\n".join(conflicts))
            if name in self._providers["data"]:
                self._files = {file: owner for file, owner in self._files.items() if owner != name}
            self._files.update(dict.fromkeys(files, name))
            self._register("data", name, provider)

    def register_audio_provider(self, name: str, provider: MediaProvider) -> None:
        """Register an audio provider; a second one under the same name replaces the first."""
        self._register("audio", name, provider)

    def register_image_provider(self, name: str, provider: MediaProvider) -> None:
        """Register an image provider; a second one under the same name replaces the first."""
        self._register("image", name, provider)

    def register_sync_provider(self, name: str, provider: SyncProvider) -> None:
        """Register a sync provider; a second one under the same name replaces the first."""
        self._register("sync", name, provider)

    def get_data_provider(self, name: str) -> DataProvider | None:
        """Return a data provider, or None."""
        return cast("DataProvider | None", self.get("data", name))

    def get_audio_provider(self, name: str) -> MediaProvider | None:
        """Return an audio provider, or None."""
        return cast("MediaProvider | None", self.get("audio", name))

    def get_image_provider(self, name: str) -> MediaProvider | None:
        """Return an image provider, or None."""
        return cast("MediaProvider | None", self.get("image", name))

    def get_sync_provider(self, name: str) -> SyncProvider | None:
        """Return a sync provider, or None."""
        return cast("SyncProvider | None", self.get("sync", name))

    def list_data_providers(self) -> list[str]:
        """Return the names of all data providers, in order of registration."""
        return list(self._providers["data"])

    def list_audio_providers(self) -> list[str]:
        """Return the names of all audio providers, in order of registration."""
        return list(self._providers["audio"])

    def list_image_providers(self) -> list[str]:
        """Return the names of all image providers, in order of registration."""
        return list(self._providers["image"])

    def list_sync_providers(self) -> list[str]:
        """Return the names of all sync providers, in order of registration."""
        return list(self._providers["sync"])

    def get_providers_for_pipeline(self, pipeline: str) -> dict[str, dict[str, Any]]:
        """Return what `for_pipeline` does, as new dicts; a type beyond the four only if it has a provider."""
        return {
            type: dict(providers)
            for type, providers in self.for_pipeline(pipeline).items()
            if providers or type in SPECIFIED_TYPES
        }

    def get_provider_info(self) -> dict[str, dict[str, Any]]:
        """Return `{"audio_providers": {"count": 2, "names": [...]}, ...}` for every type."""
        with self._lock:
            return {
                f"{type}_providers": {"count": len(providers), "names": list(providers)}
                for type, providers in self._providers.items()
            }
