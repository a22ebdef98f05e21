"""The response of a service, and the error that its status stands for."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import attrs

from deckwright import errors

# With these, the server has certainly not done its work; 521 to 526 are Cloudflare's. With any other status from 500
# on, such as that of a gateway which waited for a server behind it, nobody knows.
_NOT_DONE = (500, 501, 503, 505, 521, 523, 525, 526)
_EXCERPT_LENGTH = 200


@attrs.frozen
class Response:
    """The response of a service.

    Attributes:
        status: The HTTP status.
        headers: The headers, with lower-case names.
        content: The body, decompressed.
        host: The host that sent it, for messages.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    host: str

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            TransientError: The body is not JSON; it may be the page of a gateway.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):  # the latter if it is nested too deeply
            raise errors.TransientError(
                f"{self.host} sent something that is not JSON: {self.excerpt()}"
            ) from None

    def excerpt(self) -> str:
        """Return the beginning of the body in one line, for messages."""
        text = " ".join(self.content[: 4 * _EXCERPT_LENGTH].decode("utf-8", "replace").split())
        return f"{text[:_EXCERPT_LENGTH]}..." if len(text) > _EXCERPT_LENGTH else text

    @property
    def retry_after(self) -> float | None:
        """How many seconds the service wants us to wait; None if it does not say."""
        for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
            try:
                return max(0.0, float(self.headers[name]) / unit)
            except (KeyError, ValueError):
                pass
        from email.utils import parsedate_to_datetime  # slow to import, and rarely needed

        try:
            return max(0.0, parsedate_to_datetime(self.headers["retry-after"]).timestamp() - time.time())
        except (KeyError, ValueError, OverflowError):
            return None


def error_for(response: Response, message: str | None = None) -> errors.ProviderError | None:
    """Return the error that a status stands for, or None if the request succeeded.

    Args:
        response: The response.
        message: What the service says about the error; by default the beginning of the body.
    """
    status = response.status
    if status < 300:
        return None
    if status < 400:
        target = response.headers.get("location", "another address")
        return errors.ProviderError(
            f"{response.host} redirects requests to {target}.", hint="Check base_url."
        )
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "an unknown status"
    reason = message or response.excerpt() or "no reason given"
    message = f"{response.host} answered {status} ({phrase}): {reason}"
    if status in (401, 403):
        return errors.AuthenticationError(message, hint="Check the key, and what it may be used for.")
    if status == 402:
        return errors.QuotaError(message, hint="Add money to the account.")
    if status in (404, 410):
        return errors.NotFoundError(message)
    if status == 429 or (status == 503 and response.retry_after is not None):
        return errors.RateLimitedError(message, retry_after=response.retry_after)
    if status in (408, 425) or status >= 500:
        return errors.TransientError(message, reply_lost=status >= 500 and status not in _NOT_DONE)
    return errors.InvalidRequestError(message)
