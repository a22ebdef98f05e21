"""The settings that all providers share that use a service on the network."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import attrs
from msgspec import Meta

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


Timeout = Annotated[float, Meta(gt=0, description="seconds without an answer after which a request fails")]
# For the metadata of a setting that changes nothing in what a provider delivers.
SAME_OUTPUT = {"changes_output": False}


@attrs.define(kw_only=True)
class HttpSettings:
    """How to speak to a service. A provider's own settings class derives from this one.

    None of them changes what the service delivers, and the metadata says so: what is in the cache is still used when
    one of them is changed.
    """

    timeout: Timeout = attrs.field(default=30.0, metadata=SAME_OUTPUT)
    max_retries: Annotated[
        int, Meta(ge=0, description="how often a request that failed, but may succeed later, is sent again")
    ] = attrs.field(default=3, metadata=SAME_OUTPUT)
    longest_wait: Annotated[
        float,
        Meta(ge=0, description="seconds; if the service asks for a longer wait, the next provider is used"),
    ] = attrs.field(default=60.0, metadata=SAME_OUTPUT)
    max_concurrent: Annotated[int, Meta(ge=1, description="how many requests at once")] = attrs.field(
        default=4, metadata=SAME_OUTPUT
    )
    requests_per_second: (
        Annotated[
            float, Meta(gt=0, description="how many requests a second, rounded down; no limit when not set")
        ]
        | None
    ) = attrs.field(default=None, metadata=SAME_OUTPUT)
    user_agent: Annotated[str, Meta(description="the program's name that the service is given")] = (
        attrs.field(default=f"Deckwright/{__version__}", metadata=SAME_OUTPUT)
    )
