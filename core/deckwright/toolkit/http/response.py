"""What a service answered, and what its status means when the provider knows nothing better."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import attrs

from deckwright.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    TransientError,
)

# Statuses of a server that has certainly not done what it was asked; 521 to 526 are Cloudflare's. Of any other from
# 500 on, such as those of a gateway that waited in vain for the server behind it, that cannot be known.
_NOT_DONE = (500, 501, 503, 505, 521, 523, 525, 526)
_SHOWN = 200  # characters of a reply in a message


@attrs.frozen
class Reply:
    """What a service answered.

    Attributes:
        status: The HTTP status.
        headers: The headers, by lower-case names.
        content: The body, decompressed.
        host: Who answered, for messages.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    host: str

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            TransientError: It is no JSON: a page of some gateway in between, perhaps.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):  # the latter, when it is nested without end
            raise TransientError(
                f"{self.host} answered with something else than JSON: {self.shown()}"
            ) from None

    def shown(self) -> str:
        """Return the beginning of the body in one line, for messages."""
        text = " ".join(self.content[: 4 * _SHOWN].decode("utf-8", "replace").split())
        return f"{text[:_SHOWN]}..." if len(text) > _SHOWN else text

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before another request, as the service says; None when it does not."""
        for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
            try:
                return max(0.0, float(self.headers[name]) / unit)
            except (KeyError, ValueError):
                pass
        from email.utils import parsedate_to_datetime  # dear to import, and hardly ever needed

        try:
            return max(0.0, parsedate_to_datetime(self.headers["retry-after"]).timestamp() - time.time())
        except (KeyError, ValueError, OverflowError):
            return None


def error_for(reply: Reply, said: str | None = None) -> ProviderError | None:
    """Return the error that a status stands for, or None when the request went well.

    Args:
        reply: The reply.
        said: What the service says of the error; the beginning of the body, when not given.
    """
    status = reply.status
    if status < 300:
        return None
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "an unknown status"
    message = f"{reply.host} answered {status} ({phrase}): {said or reply.shown() or 'no reason given'}"
    if status < 400:
        where = reply.headers.get("location", "somewhere")
        return ProviderError(f"{reply.host} sends requests on to {where}.", hint="Check base_url.")
    if status in (401, 403):
        return AuthenticationError(message, hint="Check the key, and what it is allowed to do.")
    if status == 402:
        return QuotaError(message, hint="There is no money left on the account.")
    if status in (404, 410):
        return NotFoundError(message)
    if status == 429 or (status == 503 and reply.retry_after is not None):
        return RateLimitedError(message, retry_after=reply.retry_after)
    if status in (408, 425) or status >= 500:
        return TransientError(message, reply_lost=status >= 500 and status not in _NOT_DONE)
    return InvalidRequestError(message)
