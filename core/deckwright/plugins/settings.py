"""The `[plugins]` section of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
from msgspec import Meta


@attrs.define
class PluginSettings:
    """The `[plugins]` section of a configuration."""

    modules: Annotated[list[str], Meta(description="modules to load, by import name")] = attrs.field(
        factory=list
    )
    paths: Annotated[list[Path], Meta(description="plugin files, or folders of them")] = attrs.field(
        factory=list
    )
    disable: Annotated[list[str], Meta(description="plugins not to import at all")] = attrs.field(
        factory=list
    )
    only: Annotated[
        list[str] | None,
        Meta(
            description="the only plugins to import beside the built-in ones; when not set, all are imported"
        ),
    ] = None
    prefer: Annotated[
        list[str], Meta(description="plugins that win where several offer the same provider")
    ] = attrs.field(factory=list)
    installed: Annotated[bool, Meta(description="load the plugins of installed packages")] = True
    strict: Annotated[bool, Meta(description="make every problem of a plugin an error, as in CI")] = False
    time_limit: (
        Annotated[
            float,
            Meta(
                ge=0,
                description="seconds that a plugin may take to be imported, to answer a hook, or to make or close a "
                "provider; 0 is no limit. When not set, it is 30 for a command, and no limit for a program",
            ),
        ]
        | None
    ) = None
