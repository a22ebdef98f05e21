"""The settings of all providers that use an online service."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

import attrs
from msgspec import Meta

from deckwright._version import __version__


def is_url(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    """Validate the address of a service: an `http` or `https` URL with a host."""
    try:
        parts = urlsplit(value)
        is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError("an address begins with https:// or http:// and names a host")


def is_key(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    """Validate a service's key: not empty, and without characters that a header cannot contain."""
    if not value:
        raise ValueError("it is empty")
    if value.startswith("$"):
        raise ValueError("an environment variable is written as ${NAME}")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a key has no spaces, line breaks or characters beyond ASCII")


def same_output(default: Any, **options: Any) -> Any:
    """Return an attrs field with a default, for a setting that does not change what a provider delivers.

    The cache still uses earlier results if such a setting is changed.
    """
    return attrs.field(default=default, metadata={"changes_output": False}, **options)


Timeout = Annotated[float, Meta(gt=0, description="seconds without an answer after which a request fails")]


@attrs.define(kw_only=True)
class HttpSettings:
    """Timeouts, retries and limits. The settings of a provider derive from this class."""

    timeout: Timeout = same_output(30.0)
    max_retries: Annotated[
        int, Meta(ge=0, description="how often a request that failed, but may succeed later, is sent again")
    ] = same_output(3)
    longest_wait: Annotated[
        float,
        Meta(ge=0, description="seconds; if the service asks for a longer wait, the next provider is used"),
    ] = same_output(60.0)
    max_concurrent: Annotated[int, Meta(ge=1, description="how many requests at once")] = same_output(4)
    requests_per_second: (
        Annotated[float, Meta(gt=0, description="requests per second, rounded down; no limit, when not set")]
        | None
    ) = same_output(None)
    user_agent: Annotated[str, Meta(description="the program's name that the service is given")] = (
        same_output(f"Deckwright/{__version__}")
    )
