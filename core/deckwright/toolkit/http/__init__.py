"""HTTP for providers that speak to a service: one layer for the built-in plugins and everybody else's.

A provider derives from `HttpProvider` (or `HttpMediaProvider`, for sound and pictures), its settings from
`HttpSettings`; then `self.http` is an `HttpClient` with the user's time-outs, retries and limits, made on first
use and closed with the provider. Its two verbs are `request`, for the service itself, and `download`, for the
files that a service points to, which are trusted with nothing.
"""

from typing import TYPE_CHECKING

from deckwright.toolkit.http.provider import HttpMediaProvider, HttpProvider
from deckwright.toolkit.http.response import Reply, error_for
from deckwright.toolkit.http.settings import SAME_OUTPUT, HttpSettings, Timeout, is_key, is_url

if TYPE_CHECKING:
    # For annotations only: it needs the packages of the extra `online`, and is had as `provider.http`.
    from deckwright.toolkit.http.client import HttpClient as HttpClient

__all__ = [
    "SAME_OUTPUT",
    "HttpMediaProvider",
    "HttpProvider",
    "HttpSettings",
    "Reply",
    "Timeout",
    "error_for",
    "is_key",
    "is_url",
]
