"""Diagnostics: anything worth reporting, as records that people read and programs look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs

from deckwright.secrets import redact

Severity = Literal["error", "warning", "note"]


@attrs.frozen
class Diagnostic:
    """One thing worth reporting. Secrets are masked when it is made; see `redacted`.

    Attributes:
        severity: `"error"` for what does not work, `"warning"` for what is probably a mistake, `"note"` for what
            is only worth knowing.
        where: What it is about: a file with its line and key, a plugin, a provider; empty when `message` says it.
        message: What is the matter.
        hint: How to fix it; empty when nothing better than `message` is known.
        file: The file of code or configuration that it is in; empty when there is none.
    """

    severity: Severity
    where: str
    message: str
    hint: str = ""
    file: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text

    def redacted(self, secrets: Iterable[str]) -> Diagnostic:
        """Return it with every one of `secrets` masked."""
        secrets = tuple(secrets)
        return attrs.evolve(self, message=redact(self.message, secrets), hint=redact(self.hint, secrets))


@attrs.frozen
class ProviderFailure:
    """A configured provider that could not be made. Nothing in it shows a secret.

    Attributes:
        type: The type of the provider.
        instance: Its key in the configuration.
        name: The provider's name.
        plugin: The plugin that was to make it, with its origin; empty when there is none.
        where: The configuration's file, line and key.
        error: What went wrong.
        error_type: The name of the exception's class.
        hint: How to fix it, where that is known.
        raised_at: The plugin's file and line that raised it, unless the user can fix it in the configuration.
    """

    type: str
    instance: str
    name: str
    plugin: str
    where: str
    error: str
    error_type: str
    hint: str = ""
    raised_at: str = ""

    @property
    def diagnostic(self) -> Diagnostic:
        """The same as a diagnostic."""
        at = f", at {self.raised_at}" if self.raised_at else ""
        plugin = f" [plugin {self.plugin}{at}]" if self.plugin else at
        return Diagnostic("error", self.where, f"{self.error}{plugin}", self.hint)

    def __str__(self) -> str:
        return str(self.diagnostic)
