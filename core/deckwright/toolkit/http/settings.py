"""The settings that every provider shares which speaks to a service."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import attrs

from deckwright._version import __version__


def is_url(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    """Validate a setting that is the address of a service.

    Raises:
        ValueError: It is not an `http` or `https` URL with a host.
    """
    try:
        parts = urlsplit(value)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete:
        raise ValueError("an address begins with https:// or http:// and names a host")


def is_key(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    """Validate a setting that is a service's key.

    Raises:
        ValueError: It is empty, a variable that was written in another way than `${NAME}`, or nothing that a header
            could carry: what is pasted or read from a file easily ends in a line break.
    """
    if not value:
        raise ValueError("it is empty")
    if value.startswith("$"):
        raise ValueError("a variable of the environment is written ${NAME}")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a key has no spaces, line breaks or characters beyond ASCII")


def timeout(seconds: float) -> Any:
    """Return the setting `timeout` with another default, for services that take their time."""
    return attrs.field(
        default=seconds,
        validator=attrs.validators.gt(0),
        metadata={
            "help": "seconds without a sign of life after which a request is given up",
            "changes_output": False,
        },
    )


@attrs.define(kw_only=True)
class HttpSettings:
    """How to speak to a service. A provider's own settings class derives from this one.

    None of them changes what the service delivers, and the metadata says so: what a build has kept is used again,
    whichever way it was asked for.
    """

    timeout: float = timeout(30.0)
    max_retries: int = attrs.field(
        default=3,
        validator=attrs.validators.ge(0),
        metadata={
            "help": "how often a request that may yet succeed is made again",
            "changes_output": False,
        },
    )
    longest_wait: float = attrs.field(
        default=60.0,
        validator=attrs.validators.ge(0),
        metadata={
            "help": "seconds; when the service asks for a longer wait, the next provider is asked",
            "changes_output": False,
        },
    )
    max_concurrent: int = attrs.field(
        default=4,
        validator=attrs.validators.ge(1),
        metadata={"help": "how many requests at once", "changes_output": False},
    )
    requests_per_second: float | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(attrs.validators.gt(0)),
        metadata={
            "help": "how many requests in any second, rounded down; no limit when not set",
            "changes_output": False,
        },
    )
    user_agent: str = attrs.field(
        default=f"Deckwright/{__version__}",
        metadata={"help": "what the service is told that calls it", "changes_output": False},
    )
