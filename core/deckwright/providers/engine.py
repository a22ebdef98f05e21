"""The contract of engines: where the providers of a build do their work."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from deckwright.providers.base import Provider
from deckwright.providers.media import MediaRequest, MediaResult

if TYPE_CHECKING:
    from deckwright.registry import ProviderRegistry


class Engine(Provider):
    """Has requests carried out: this one here, in threads of the build; others on other machines, perhaps.

    The build decides what is asked of whom, when, and for how much money; an engine only carries it out. So rates,
    budgets and what is paid for already are the same with every engine.
    """

    def start(self, registry: ProviderRegistry) -> None:
        """Get ready for a build with the providers of this registry.

        Raises:
            DeckwrightError: It cannot be used.
        """
        self._registry = registry

    def at_once(self, type: str, instance: str, provider_allows: int) -> int:
        """Return how many requests of one instance `generate` may be called with at once.

        Args:
            type: What the instance delivers.
            instance: The instance.
            provider_allows: How many the provider takes at once in one process.
        """
        return provider_allows

    def generate(self, type: str, instance: str, request: MediaRequest) -> MediaResult:
        """Have one request carried out, and wait for it; called from many threads.

        Args:
            type: What is to be delivered.
            instance: Which of the registry's providers is asked.
            request: What for. Its `output_path` is a file here, where the result is to be.

        Raises:
            BuildError: Nothing can be carried out any more; the build ends.
            Exception: Whatever the provider raises; a `TransientError` where the work was lost on its way.
        """
        return cast("MediaResult", self._registry.generate(type, instance, request))
