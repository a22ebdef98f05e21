"""What is worth reporting, as records that nothing is parsed back from."""

from __future__ import annotations

import attrs


@attrs.frozen
class ProviderFailure:
    """A configured provider that could not be made. Nothing in it shows a secret.

    Attributes:
        type: What it would deliver.
        instance: Its key in the configuration.
        name: The name by which plugins know it.
        plugin: The plugin that was to make it, with its origin; empty when there is none.
        where: The configuration's file, line and key.
        error: What went wrong.
        error_type: The name of the exception's class.
        hint: How to mend it, where that is known.
        raised_at: The file and line of the plugin where it went wrong, where that is not the user's to mend.
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

    def __str__(self) -> str:
        at = f", at {self.raised_at}" if self.raised_at else ""
        plugin = f" [plugin {self.plugin}{at}]" if self.plugin else at
        hint = f"\n  {self.hint}" if self.hint else ""
        return f"{self.where}: {self.error}{plugin}{hint}"
