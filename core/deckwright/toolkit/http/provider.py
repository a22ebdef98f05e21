"""Providers that speak to a service: with a client of their own, made on first use."""

from __future__ import annotations

import math
import threading
from abc import ABC
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from deckwright.errors import MissingDependencyError, ProviderError
from deckwright.providers.base import Provider
from deckwright.providers.media import MediaProvider, MediaRequest, MediaResult
from deckwright.secrets import secret_values
from deckwright.toolkit.http.rate_limit import missing
from deckwright.toolkit.http.response import Reply, error_for
from deckwright.tracebacks import format_error

if TYPE_CHECKING:
    from deckwright.toolkit.http.client import HttpClient


class HttpProvider(Provider):
    """A provider that speaks to a service over HTTP.

    Its `config_class` derives from `HttpSettings`. It says where the service is (`base_url`), what goes with
    every request (`_headers`), and what its errors look like (`_explain`).

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
        """Where the service is, without a slash at the end; by default the setting of that name."""
        return str(getattr(self.settings, "base_url", "")).rstrip("/")

    def _headers(self) -> dict[str, str]:
        """Return the headers of every request to the service."""
        return {}

    def _explain(self, reply: Reply) -> ProviderError | None:
        """Return the error that a reply stands for, or None when it is none; by default its status tells.

        It is asked about every reply, since some services tell an error with status 200.
        """
        return error_for(reply)

    @property
    def http(self) -> HttpClient:
        """The client.

        Raises:
            MissingDependencyError: The packages for it are not installed.
        """
        with self._client_lock:
            if self._client is None:
                try:
                    from deckwright.toolkit.http.client import HttpClient
                except ImportError as error:
                    raise missing(error) from error
                try:
                    self._client = HttpClient(
                        self.settings,
                        self.base_url,
                        headers=self._headers(),
                        secrets=secret_values(self.config),
                        explain=self._explain,
                        reuse_connections=self.reuse_connections,
                        logger=self.logger,
                    )
                except (ImportError, OSError, ValueError) as error:
                    # What httpx makes of variables such as SSL_CERT_FILE and ALL_PROXY.
                    raise MissingDependencyError(
                        f"The network cannot be used the way this machine's environment says ({format_error(error)}).",
                        hint="Look at the variables SSL_CERT_FILE, HTTP_PROXY, HTTPS_PROXY and ALL_PROXY.",
                    ) from None
            return self._client

    def close(self) -> None:
        """Close all connections. The next request opens new ones."""
        with self._client_lock:
            if self._client is not None:
                self._client.close()
                self._client = None


class HttpMediaProvider(HttpProvider, MediaProvider, ABC):
    """A service of sounds or pictures. A build asks it for as many at once as `max_concurrent` says."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(config)
        self.at_once = int(self.settings.max_concurrent)

    def get_cost_estimate(self, requests: Sequence[MediaRequest]) -> dict[str, float]:
        """Say that the price is not known (`nan`): a service that costs nothing, or a known price, should say so."""
        return {"total_cost": math.nan, "per_request": math.nan, "requests_count": len(requests)}

    def generate_batch(self, requests: Sequence[MediaRequest]) -> list[MediaResult]:
        """Make several, as many at once as `max_concurrent` allows; one result a request, in the same order."""
        with ThreadPoolExecutor(self.settings.max_concurrent) as pool:
            return list(pool.map(self.generate_media, requests))
