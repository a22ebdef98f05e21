"""An engine that has providers work in other processes, on this machine or on those of a Dask cluster.

`engine` is the side of the build and `bench` that of a worker; `local` starts workers on this machine, each of which
runs `process`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from deckwright import ProviderInfo, hookimpl
from deckwright.toolkit.install_hints import DASK_EXTRA

if TYPE_CHECKING:
    from deckwright_builtins.dask.engine import Dask


@attrs.define
class DaskSettings:
    """Which workers there are."""

    scheduler: str | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(attrs.validators.min_len(1)),
        metadata={
            "help": "the address of a Dask scheduler, tcp://host:8786; by default, workers are started here"
        },
    )
    workers: int = attrs.field(
        default=2,
        validator=[attrs.validators.ge(1), attrs.validators.le(64)],
        metadata={"help": "how many workers to start on this machine, where no scheduler is named"},
    )
    timeout: float = attrs.field(
        default=30.0,
        validator=attrs.validators.gt(0),
        metadata={"help": "seconds for the scheduler to answer, and for the workers to get ready"},
    )


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `dask`."""
    return [
        ProviderInfo(
            "engine",
            "dask",
            "Many at once, in several processes of this machine or on the machines of a Dask cluster",
            config_class=DaskSettings,
            extra=DASK_EXTRA,
        )
    ]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> Dask | None:
    """Make `dask`."""
    if (type, name) != ("engine", "dask"):
        return None
    from deckwright_builtins.dask.engine import Dask

    return Dask(config)
