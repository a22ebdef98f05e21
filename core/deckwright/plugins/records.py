"""What is known of each plugin, with the diagnostics about it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import attrs

from deckwright.diagnostics import Diagnostic
from deckwright.plugins.discovery import Provenance
from deckwright.secrets import redact
from deckwright.tracebacks import diagnostic_of

logger = logging.getLogger(__name__)


@attrs.define
class PluginRecord:
    """One plugin, loaded or not.

    Attributes:
        name: What `disable`, `only` and `prefer` call it.
        provenance: Where it is from.
        status: `"loaded"`, `"disabled"`, `"excluded"` (it is not in `only`) or `"failed"`.
        file: The file of its code; empty when that is not known, as for one that was not imported.
        version: That of its distribution, or else its own `__version__`; empty when it has none.
        hooks: The hooks it implements.
        offers: The providers that it describes, as `"audio/forvo"`.
        diagnostics: What is wrong with it, or worth knowing. A loaded plugin may have some too.
        seconds: How long it took to import.
    """

    name: str
    provenance: Provenance
    status: str = "loaded"
    file: str = ""
    version: str = ""
    hooks: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    diagnostics: list[Diagnostic] = attrs.field(factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.name} ({self.provenance})" if str(self.provenance) != self.name else self.name

    @property
    def is_built_in(self) -> bool:
        """Whether it came with Deckwright."""
        return self.provenance.kind == "built-in"

    def is_called(self, name: str) -> bool:
        """Return whether a setting means this plugin: by its name, or by what it shares with others of that name."""
        return name in (self.name, self.name.partition("@")[0])

    @property
    def problems(self) -> list[Diagnostic]:
        """What keeps it, or something of it, from working."""
        return [each for each in self.diagnostics if each.severity == "error"]

    @property
    def notes(self) -> list[Diagnostic]:
        """What is worth knowing of it, though nothing is wrong."""
        return [each for each in self.diagnostics if each.severity != "error"]

    @property
    def disable_hint(self) -> str:
        """What its user can do about a fault of it, if nothing better is known."""
        return f'Fix it, or disable it: [plugins] disable = ["{self.name}"].'


class PluginReporter:
    """Adds diagnostics to the records of plugins, with all secrets masked, and logs each of them once.

    Args:
        secrets: Returns what must never be shown.
    """

    def __init__(self, secrets: Callable[[], Iterable[str]]) -> None:
        self._secrets = secrets

    def masked(self, text: str) -> str:
        """Return text with every secret masked."""
        return redact(text, self._secrets())

    def error(self, plugin: PluginRecord, message: str, hint: str = "") -> None:
        """Report what does not work."""
        self.add(plugin, Diagnostic("error", "", message, hint))

    def note(self, plugin: PluginRecord, message: str) -> None:
        """Report what is worth knowing, though nothing is wrong."""
        self.add(plugin, Diagnostic("note", "", message))

    def raised(self, plugin: PluginRecord, error: BaseException, doing: str) -> None:
        """Report an error that the plugin raised."""
        self.add(plugin, diagnostic_of(error, "", doing=doing))

    def add(self, plugin: PluginRecord, diagnostic: Diagnostic) -> None:
        """Report a diagnostic; where it is from is filled in, and a hint if it has none."""
        hint = diagnostic.hint or (plugin.disable_hint if diagnostic.severity == "error" else "")
        diagnostic = attrs.evolve(diagnostic, where=f"plugin {plugin}", hint=hint, file=plugin.file).redacted(
            self._secrets()
        )
        if diagnostic not in plugin.diagnostics:
            plugin.diagnostics.append(diagnostic)
            logger.warning("%s", diagnostic)
