"""An engine that runs providers in other processes, on this machine or on those of a Dask cluster.

`engine` runs in the build, and `worker_runtime` on a worker; `local` starts workers on this machine, each of which runs
`process`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import attrs
from msgspec import Meta

from deckwright import ProviderInfo, hookimpl
from deckwright.toolkit.install_hints import DASK_EXTRA

if TYPE_CHECKING:
    from deckwright_builtins.dask.engine import Dask


@attrs.define
class DaskSettings:
    """The settings of `dask`."""

    scheduler: (
        Annotated[str, Meta(min_length=1, description="the address of a scheduler, tcp://host:8786")] | None
    ) = None
    workers: Annotated[
        int, Meta(ge=1, le=64, description="local workers to start, if no scheduler is set")
    ] = 2
    timeout: Annotated[float, Meta(gt=0, description="seconds until all workers must be ready")] = 30.0


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `dask`."""
    summary = "Runs many requests at once, in processes of this machine or on the machines of a Dask cluster"
    return [ProviderInfo("engine", "dask", summary, DaskSettings, DASK_EXTRA)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> Dask | None:
    """Make `dask`."""
    if (type, name) != ("engine", "dask"):
        return None
    from deckwright_builtins.dask.engine import Dask

    return Dask(config)
