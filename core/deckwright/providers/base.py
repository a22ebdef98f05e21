"""The base class of all providers: settings from the constructor, a connection check, and closing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from deckwright.config.settings import read_settings


class Provider:
    """Something a plugin makes from settings. Its constructor checks and stores them, and opens nothing.

    Attributes:
        config_class: The attrs class of the settings; None to accept any settings.
        config: The settings as they were given.
        settings: An instance of `config_class`, if there is one.
        warnings: What the user should know about these settings, although they work.
        logger: The logger of this provider.
    """

    config_class: ClassVar[type[Any] | None] = None
    # For older classes whose constructor does not call this one.
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
        """Raise `ValueError` or `KeyError` if `config` cannot be used. By default everything can."""

    def _setup_from_config(self) -> None:
        """Read what is needed from `self.config` or `self.settings`; open nothing yet."""

    def unsupported_reason(self, type: str) -> str:
        """Return why this provider cannot have this type, as in `"which ..."`; empty if it can."""
        return ""

    def check_connection(self) -> str:
        """Check whether what the provider needs can be reached and used, at the lowest possible cost.

        Returns:
            The finding, in one line; empty if there is nothing to reach.

        Raises:
            ProviderError: It cannot be used; the hint says what to do.
        """
        return ""

    def close(self) -> None:
        """Release everything that was opened on first use. May be called more than once."""
