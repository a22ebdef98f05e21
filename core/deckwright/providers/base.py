"""What every provider shares, whatever it delivers: settings handed in at construction, and closing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from deckwright.config.settings import read_settings


class Provider:
    """A thing made by a plugin from settings. A constructor checks and stores; it opens nothing.

    Attributes:
        config_class: The attrs class of the settings; None to take them as they are.
        config: The settings as they were handed in.
        settings: An instance of `config_class`, when there is one.
        warnings: What its user should know of these settings, which work as they are.
        logger: A logger of this provider's own.
    """

    config_class: ClassVar[type[Any] | None] = None
    # For classes of the old contract whose own constructor does not call this one.
    config: Mapping[str, Any] = MappingProxyType({})
    warnings: Sequence[str] = ()
    logger = logging.getLogger("deckwright.providers")

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self.config = settings = {} if config is None else dict(config)
        self.logger = logging.getLogger(f"deckwright.providers.{type(self).__name__.lower()}")
        self.validate_config(settings)
        if self.config_class is not None:
            self.settings: Any = read_settings(self.config_class, settings)
        self._setup_from_config()

    def __repr__(self) -> str:
        # Never the settings: they may hold a key.
        return f"<{type(self).__module__}.{type(self).__qualname__}>"

    def validate_config(self, config: dict[str, Any]) -> None:
        """Raise `ValueError` or `KeyError` when `config` is not fit for use. By default anything is."""

    def _setup_from_config(self) -> None:
        """Take what is needed from `self.config` or `self.settings`; open nothing yet."""

    def unfit_for(self, type: str) -> str:
        """Say what keeps this provider from being one of a type, as in `"which ..."`; empty when nothing does."""
        return ""

    def check_connection(self) -> str:
        """Try whether what the provider needs can be reached and used, spending as little as possible.

        Returns:
            What was found, in one line; empty when there is nothing to reach.

        Raises:
            ProviderError: It cannot be used; the hint says what to do.
        """
        return ""

    def close(self) -> None:
        """Let go of whatever was opened on first use. May be called again."""
