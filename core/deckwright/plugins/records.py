"""What is known of each plugin, and what a configuration says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import attrs
from msgspec import Meta

from deckwright.errors import DeckwrightError
from deckwright.plugins.discovery import Provenance
from deckwright.tracebacks import error_location, format_error


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


@attrs.frozen
class Problem:
    """Something that is wrong.

    Attributes:
        what: What it is, and where.
        mend: What to do about it, where that is known.
    """

    what: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.what}\n  {self.mend}" if self.mend else self.what


@attrs.define
class PluginRecord:
    """One plugin, loaded or not.

    Attributes:
        name: What `disable`, `only` and `prefer` call it.
        provenance: Where it is from.
        status: `"loaded"`, `"disabled"`, `"excluded"` (it is not in `only`) or `"failed"`.
        file: The file that its code is in; empty where that is not known, as of one that was not imported.
        version: That of its distribution, or else its own `__version__`; empty when it has none.
        hooks: The hooks it implements.
        offers: The providers that it describes, as `"audio/forvo"`.
        problems: What is wrong with it. A loaded plugin may have some too.
        remarks: What is worth knowing and wrong with nothing.
        seconds: How long it took to import.
    """

    name: str
    provenance: Provenance
    status: str = "loaded"
    file: str = ""
    version: str = ""
    hooks: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    problems: list[Problem] = attrs.field(factory=list)
    remarks: list[str] = attrs.field(factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.name} ({self.provenance})" if str(self.provenance) != self.name else self.name

    @property
    def is_built_in(self) -> bool:
        """Whether it came with Deckwright."""
        return self.provenance.kind == "built-in"

    @property
    def leave_out(self) -> str:
        """What its user can do about a fault of it, where nothing better is known."""
        return f'Mend it, or leave it out: [plugins] disable = ["{self.name}"].'


def problem_of(error: BaseException, doing: str = "") -> Problem:
    """Return an error of any kind as a problem, with the place in the plugin where it arose.

    Args:
        error: What was raised.
        doing: What it was raised by: `"cannot be imported"`.
    """
    place = error_location(error)
    said, mend = (
        (error.message, error.hint or "") if isinstance(error, DeckwrightError) else (format_error(error), "")
    )
    return Problem(f"{f'{doing}: ' if doing else ''}{said}{f', at {place}' if place else ''}", mend)
