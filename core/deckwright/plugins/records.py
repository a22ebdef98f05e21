"""What is known of each plugin, and what a configuration says of them."""

from __future__ import annotations

from pathlib import Path

import attrs

from deckwright.errors import DeckwrightError
from deckwright.plugins.discovery import Provenance
from deckwright.tracebacks import error_location, format_error


@attrs.define
class PluginSettings:
    """The `[plugins]` section of a configuration."""

    modules: list[str] = attrs.field(factory=list, metadata={"help": "modules to load, by import name"})
    paths: list[Path] = attrs.field(factory=list, metadata={"help": "plugin files, or folders of them"})
    disable: list[str] = attrs.field(factory=list, metadata={"help": "plugins not to import at all"})
    only: list[str] | None = attrs.field(
        default=None,
        metadata={"help": "the plugins that may be imported beside the built-in ones; without it, all may"},
    )
    prefer: list[str] = attrs.field(
        factory=list, metadata={"help": "plugins that win where several offer the same provider"}
    )
    installed: bool = attrs.field(default=True, metadata={"help": "load the plugins of installed packages"})
    strict: bool = attrs.field(
        default=False, metadata={"help": "let anything that is wrong with a plugin be an error, as in CI"}
    )
    time_limit: float | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(attrs.validators.ge(0)),
        metadata={
            "help": "seconds that a plugin may take to be imported, to answer a hook, or to make or close a "
            "provider; 0 is no limit. By default a command's is 30, and a program's none"
        },
    )


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
