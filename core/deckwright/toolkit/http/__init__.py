"""HTTP for providers that use an online service, for the built-in plugins and all others.

A provider derives from `HttpProvider` (or from `HttpMediaProvider`, for sound and pictures), and its settings from
`HttpSettings`. Then `self.http` is an `HttpClient` with the user's timeouts, retries and limits, made on first use and
closed with the provider. It has two methods: `request`, for the service itself, and `download`, for files that the
service links to, which are not trusted.
"""

from typing import TYPE_CHECKING

from deckwright.toolkit.http.provider import HttpMediaProvider, HttpProvider
from deckwright.toolkit.http.response import Response, error_for
from deckwright.toolkit.http.settings import HttpSettings, Timeout, is_key, is_url, same_output

if TYPE_CHECKING:
    # For annotations only: it needs the packages of the extra `online`. Use it as `provider.http`.
    from deckwright.toolkit.http.client import HttpClient as HttpClient

__all__ = [
    "HttpMediaProvider",
    "HttpProvider",
    "HttpSettings",
    "Response",
    "Timeout",
    "error_for",
    "is_key",
    "is_url",
    "same_output",
]
