"""Every hook that a plugin may implement, and the records that it returns.

A plugin is a module (or any object) with at least one function marked `@hookimpl`. It implements the hooks it needs,
with the parameters it needs. Implementations are plain functions: neither `async`, nor wrappers, nor with keyword-only
parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pluggy

if TYPE_CHECKING:
    from deckwright.diagnostics import ProviderFailure
    from deckwright.providers.media import MediaRequest, MediaResult

PROJECT = "deckwright"

# A field below is called `type`, which hides the built-in name from the lines after it.
Class: TypeAlias = type[Any]

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@attrs.frozen
class Traits:
    """What a build needs to know of a provider before it uses it.

    Attributes:
        attribution: The credit for what the provider delivers, in one line; empty when none is due.
        reads: For data providers, the endings of the files they read as word lists: `(".csv", ".tsv")`.
        requests_per_item: How many requests to a service one sound or picture takes; 0 without a service.
        cacheable: Whether what it delivers may be cached for other decks than the one it was made for.
        resumable: Whether a request that is sent again with the same `id`, because its outcome is not known, is
            charged only once.
    """

    attribution: str = ""
    reads: tuple[str, ...] = ()
    requests_per_item: int = 0
    cacheable: bool = True
    resumable: bool = False


@attrs.frozen
class ProviderInfo:
    """A provider that a plugin offers, described without making it.

    Attributes:
        type: What the provider delivers: `"audio"`, `"image"`, `"sync"`, `"data"`, or a plugin's own type.
        name: Its name in configurations: `"forvo"`.
        summary: One line for people.
        config_class: The attrs class of its settings; None when it takes any settings.
        extra: What to install if its packages are missing: `"deckwright[offline]"`; empty for nothing.
        traits: What a build needs to know of it.
    """

    type: str
    name: str
    summary: str = ""
    config_class: Class | None = None
    extra: str = ""
    traits: Traits = Traits()


@attrs.frozen
class ProviderType:
    """A type of provider.

    Attributes:
        name: Its name in configurations: `[providers.NAME.instance]`.
        contract: The class of which every provider of this type is an instance.
        summary: One line for people.
    """

    name: str
    contract: Class
    summary: str = ""


@hookspec
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> object | None:
    """Make a configured provider, or return None if it is not this plugin's.

    Args:
        type: The type, such as `"audio"`.
        name: The provider name, such as `"forvo"`.
        config: The settings of one configured instance, without the registry's own keys (`type` and
            `pipelines`). The provider owns this dict.

    Returns:
        An instance of the type's contract (or the class, which is then made with `config`), or None.
    """


@hookspec
def describe_media_providers() -> Iterable[ProviderInfo]:  # type: ignore[empty-body]
    """Describe the providers that this plugin offers, without making any.

    A plugin that implements this hook is only asked to make what it describes. One that does not is asked once for
    each type and name in a configuration.

    Returns:
        One `ProviderInfo` for each type and name that the plugin makes.
    """


@hookspec
def register_provider_types() -> Iterable[ProviderType]:  # type: ignore[empty-body]
    """Add types of provider, each with the contract of its providers.

    Returns:
        One `ProviderType` for each type that the plugin adds.
    """


@hookspec
def provider_registered(type: str, instance: str, name: str, provider: object) -> None:
    """Observe that a configured provider was made and can be looked up.

    Args:
        type: Its type.
        instance: Its key in the configuration.
        name: Its provider name.
        provider: The provider itself.
    """


@hookspec
def provider_failed(failure: ProviderFailure) -> None:
    """Observe that a configured provider could not be made; the others go on.

    Args:
        failure: What failed, where it is configured, why, and how to fix it.
    """


@hookspec
def media_generated(request: MediaRequest, result: MediaResult) -> None:
    """Observe the outcome of one request of a build: a success, or the last failure.

    Args:
        request: The request.
        result: Its result.
    """
