"""The contract of engines, which run the providers of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from deckwright.providers.base import Provider
from deckwright.providers.media import MediaRequest, MediaResult

if TYPE_CHECKING:
    from deckwright.registry import ProviderRegistry


class Engine(Provider):
    """Runs the requests of a build: this one in threads of the build itself, others perhaps on other machines.

    The build decides which provider gets which request, when, and at what cost; an engine only runs it. So rate limits,
    budgets and what was already paid for are the same with every engine.
    """

    def start(self, registry: ProviderRegistry) -> None:
        """Prepare for a build with the providers of this registry.

        Raises:
            DeckwrightError: The engine cannot be used.
        """
        self._registry = registry

    def at_once(self, type: str, instance: str, provider_allows: int) -> int:
        """Return how many requests of one instance may run at once.

        Args:
            type: The instance's type.
            instance: The instance.
            provider_allows: How many requests the provider can run at once in one process.
        """
        return provider_allows

    def generate(self, type: str, instance: str, request: MediaRequest) -> MediaResult:
        """Run one request and wait for its result; called from many threads.

        Args:
            type: The instance's type.
            instance: The provider's instance in the registry.
            request: The request. Its `output_path` is a file on this machine.

        Raises:
            BuildError: No more requests can be run; the build ends.
            Exception: Any error of the provider; a `TransientError` if the request was lost on its way.
        """
        return cast("MediaResult", self._registry.generate(type, instance, request))
