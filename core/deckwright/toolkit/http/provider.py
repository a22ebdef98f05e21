"""Base classes of providers that use an online service: each has an HTTP client, made on first use."""

from __future__ import annotations

import math
import threading
from abc import ABC
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from deckwright.errors import MissingDependencyError, ProviderError
from deckwright.providers.base import Provider
from deckwright.providers.media import MediaProvider, MediaRequest, MediaResult, cost_estimate
from deckwright.secrets import secret_values
from deckwright.toolkit.http.response import Response, error_for
from deckwright.toolkit.install_hints import ONLINE_EXTRA, missing_dependency
from deckwright.tracebacks import format_error

if TYPE_CHECKING:
    from deckwright.toolkit.http.client import HttpClient


class HttpProvider(Provider):
    """A provider that uses a service over HTTP.

    Its `config_class` derives from `HttpSettings`. It may override the address of the service (`base_url`), the
    headers of every request (`_headers`), and how errors are recognised (`_error_for`).

    Attributes:
        reuse_connections: Whether a connection may serve several requests.
    """

    reuse_connections: ClassVar[bool] = True

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self._client: HttpClient | None = None
        self._client_lock = threading.Lock()
        super().__init__(config)

    @property
    def base_url(self) -> str:
        """The address of the service, without a slash at the end; by default the setting of that name."""
        return str(getattr(self.settings, "base_url", "")).rstrip("/")

    def _headers(self) -> dict[str, str]:
        """Return the headers of every request to the service."""
        return {}

    def _error_for(self, response: Response) -> ProviderError | None:
        """Return the error that a response stands for, or None if it is not an error; by default its status decides.

        It is called for every response, since some services send errors with status 200.
        """
        return error_for(response)

    @property
    def http(self) -> HttpClient:
        """The client.

        Raises:
            MissingDependencyError: The packages for it are not installed.
        """
        with self._client_lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> HttpClient:
        try:
            from deckwright.toolkit.http.client import HttpClient
        except ImportError as error:
            raise missing_dependency("Online services need more packages", error, ONLINE_EXTRA) from error
        try:
            return HttpClient(
                self.settings,
                self.base_url,
                headers=self._headers(),
                secrets=secret_values(self.config),
                error_for=self._error_for,
                reuse_connections=self.reuse_connections,
                logger=self.logger,
            )
        except (ImportError, OSError, ValueError) as error:
            # httpx reads environment variables such as SSL_CERT_FILE and ALL_PROXY.
            raise MissingDependencyError(
                f"This machine's network settings cannot be used ({format_error(error)}).",
                hint="Check the environment variables SSL_CERT_FILE, HTTP_PROXY, HTTPS_PROXY and ALL_PROXY.",
            ) from None

    def close(self) -> None:
        """Close all connections. The next request opens new ones."""
        with self._client_lock:
            if self._client is not None:
                self._client.close()
                self._client = None


class HttpMediaProvider(HttpProvider, MediaProvider, ABC):
    """An online service that makes sounds or pictures. A build sends it `max_concurrent` requests at once."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.at_once = int(self.settings.max_concurrent)

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Return an unknown price (`nan`); override it if the service is free, or its price is known."""
        return cost_estimate(math.nan, requests)

    def generate_batch(self, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several, `max_concurrent` at once; return one result per request, in the same order."""
        with ThreadPoolExecutor(self.settings.max_concurrent) as pool:
            return list(pool.map(self.generate_media, requests))
