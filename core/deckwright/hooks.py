"""The whole extension surface: every hook a plugin may implement, and the two records it hands over.

A plugin is a module (or any object) with at least one function marked `@hookimpl`. It implements the hooks it
cares about and may leave out any parameters it does not need. Implementations are plain functions: neither
`async`, nor wrappers, nor with keyword-only parameters.
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
        attribution: Whom to credit for what the provider delivers, in one line; empty when nobody.
        reads: For data providers, the endings of the files they read as word lists: `(".csv", ".tsv")`.
        requests_per_item: How many requests to a service one sound or picture takes; 0 when it asks none.
        cacheable: Whether what it delivers may be kept for other decks than the one it was asked for.
        resumable: Whether a request that is made again under its `id`, after its outcome was never known, is charged
            once only.
    """

    attribution: str = ""
    reads: tuple[str, ...] = ()
    requests_per_item: int = 0
    cacheable: bool = True
    resumable: bool = False


@attrs.frozen
class ProviderInfo:
    """What a plugin says of one provider that it offers, without making it.

    Attributes:
        type: What the provider delivers: `"audio"`, `"image"`, `"sync"`, `"data"`, or a plugin's own type.
        name: The name that a configuration calls it by: `"forvo"`.
        summary: One line for people.
        config_class: The attrs class of its settings; None when it takes any settings as they are.
        extra: What to install when its packages are missing: `"deckwright[offline]"`; empty when nothing.
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
    """A kind of thing that providers deliver.

    Attributes:
        name: The word for it in configurations: `[providers.NAME.instance]`.
        contract: The class of which every provider of this type is an instance.
        summary: One line for people.
    """

    name: str
    contract: Class
    summary: str = ""


@hookspec
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> object | None:
    """Make the provider that a configuration asks for, or return None when it is not this plugin's.

    Args:
        type: What is to be delivered, such as `"audio"`.
        name: Which provider is asked for, such as `"forvo"`.
        config: The settings of one configured instance, without the registry's own keys (`type` and
            `pipelines`). The provider owns this dict.

    Returns:
        An instance of the type's contract (or the class, which is then made with `config`), or None.
    """


@hookspec
def describe_media_providers() -> Iterable[ProviderInfo]:  # type: ignore[empty-body]
    """Say which providers this plugin offers, without making any.

    A plugin that answers here is asked to make what it describes and nothing else, so that finding it takes
    one look-up. One that does not is asked once for each type and name that a configuration holds.

    Returns:
        One `ProviderInfo` for every type and name that the plugin makes.
    """


@hookspec
def register_provider_types() -> Iterable[ProviderType]:  # type: ignore[empty-body]
    """Add types of provider, each with the contract that its providers fulfil.

    Returns:
        One `ProviderType` for every type that the plugin adds.
    """


@hookspec
def provider_registered(type: str, instance: str, name: str, provider: object) -> None:
    """Observe that a configured provider was made and can be looked up.

    Args:
        type: What it delivers.
        instance: Its key in the configuration.
        name: The name by which plugins know it.
        provider: The provider itself.
    """


@hookspec
def provider_failed(failure: ProviderFailure) -> None:
    """Observe that a configured provider could not be made; the others go on.

    Args:
        failure: What failed, where it was configured, why, and how to mend it.
    """


@hookspec
def media_generated(request: MediaRequest, result: MediaResult) -> None:
    """Observe the outcome of one request of a build, be it a success or the last failure.

    Args:
        request: What was asked for.
        result: What came of it.
    """
