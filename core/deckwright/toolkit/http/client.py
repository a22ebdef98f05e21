"""The HTTP client of one provider: httpx with the user's timeouts, retries and limits, and with secrets masked.

Imported on first use: it needs the packages of the extra `online`.
"""

from __future__ import annotations

import functools
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import httpx
import tenacity

from deckwright import errors
from deckwright.secrets import redact
from deckwright.toolkit.http.body import iter_body, read_body, read_start
from deckwright.toolkit.http.download_guard import DownloadGuard, Trace
from deckwright.toolkit.http.rate_limit import rate_limit
from deckwright.toolkit.http.response import Response, error_for
from deckwright.toolkit.http.settings import HttpSettings
from deckwright.toolkit.media_format import move_media, temporary_beside

T = TypeVar("T")
ErrorFor = Callable[[Response], "errors.ProviderError | None"]

# The largest response with ten pictures of some megabytes each, as base64, is well below this.
MAX_RESPONSE_BYTES = 100_000_000
MAX_FILE_BYTES = 30_000_000
# How much is read of a response that is only checked for its error.
_ERROR_BYTES = 65_536
# A body may take this many times the timeout.
_BODY_TIMEOUT_FACTOR = 10
_MAX_REDIRECTS = 5
# Addresses of this machine itself, which no proxy can reach.
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
# These loggers write URLs and headers.
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")
_DEFAULT_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=10) + tenacity.wait_random(0, 0.5)


class HttpClient:
    """Sends the requests of one provider. It may be used from several threads.

    Args:
        settings: Timeouts, retries and limits.
        base_url: The address of the service. Files are downloaded from there, and from public addresses.
        headers: Sent to the service with every request, and never with a download.
        secrets: Masked in every message and log.
        error_for: Returns the error that a response stands for, or None if it is not an error.
        reuse_connections: Whether a connection may serve several requests. Not every server can do that.
        logger: Where retries are logged.
    """

    def __init__(
        self,
        settings: HttpSettings,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        error_for: ErrorFor = error_for,
        reuse_connections: bool = True,
        logger: logging.Logger | None = None,
    ) -> None:
        self._settings = settings
        self._secrets = tuple(secrets)
        self._error_for = error_for
        self._logger = logger or logging.getLogger(__name__)
        self._guard = DownloadGuard(base_url)
        self._slots = threading.BoundedSemaphore(settings.max_concurrent)
        self._may_send = rate_limit(settings.requests_per_second)
        self._body_timeout = _BODY_TIMEOUT_FACTOR * settings.timeout
        self._closed = threading.Event()
        self._lock = threading.Lock()  # for the next two
        self._not_before = 0.0
        self._sockets: WeakSet[socket.socket] = WeakSet()
        common: dict[str, Any] = {
            "verify": _trusted_certificates(),
            "mounts": {f"all://{host}": None for host in _THIS_MACHINE},
            # The slots above are the limit, and waiting for one must not time out.
            "timeout": httpx.Timeout(settings.timeout, pool=None),
            "limits": httpx.Limits(
                max_connections=settings.max_concurrent,
                max_keepalive_connections=settings.max_concurrent if reuse_connections else 0,
            ),
        }
        about = {"user-agent": settings.user_agent, "accept-encoding": "gzip"}
        self._service = httpx.Client(headers={**about, **(headers or {})}, **common)
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        self._downloads = httpx.Client(
            headers={**about, "accept-encoding": "identity"}, cookies=no_cookies, **common
        )
        self._mask = _Mask(self._secrets)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._mask)

    def close(self) -> None:
        """Close all connections, and end all waiting for a response or for a retry."""
        self._closed.set()
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            with suppress(OSError):  # it is closed already
                # The method of the base class is the only one that wakes threads which read from the socket.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        self._service.close()
        self._downloads.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._mask)

    def wait(self, seconds: float) -> bool:
        """Wait, but no longer than until the client is closed; return whether it is still open."""
        return not self._closed.wait(seconds)

    def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = True,
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> Response:
        """Send a request to the service, and send it again where that may help.

        Args:
            method: `"GET"`, `"POST"`.
            url: The whole address.
            json: The body, as JSON.
            headers: Added to the headers of every request.
            idempotent: Whether sending it twice does no harm. A request that is not idempotent, and may cost money, is
                not sent again if its response was lost.
            max_bytes: The largest size of the response.

        Raises:
            ProviderError: One of its subclasses; see `deckwright.errors`.
        """

        def send_once() -> Response:
            with self._send(self._service, method, url, json=json, headers=headers) as raw:
                response = _response(raw, read_body(raw, max_bytes, self._body_timeout))
            if error := self._error_for(response):
                raise error
            return response

        return self._with_retries(send_once, idempotent=idempotent)

    def download(self, url: str, target: Path, type: str, *, max_bytes: int = MAX_FILE_BYTES) -> Path:
        """Download a sound or picture that a service links to.

        Neither the key nor a cookie of the provider is sent. The address, and that of every redirect, must be public
        or belong to a local service itself.

        Args:
            url: Its address.
            target: The file to write. It appears only when it is complete.
            type: The expected type: `"audio"` or `"image"`.
            max_bytes: The largest size of the file.

        Returns:
            The file: `target`, with the file ending of its content.

        Raises:
            BadMediaError: It is something else, too large, or at an address that is not allowed.
            ProviderError: As for `request`.
        """

        def download_once() -> Path:
            with ExitStack() as stack:
                raw = self._follow_redirects(stack, url)
                if raw.status_code >= 400:
                    start = read_start(raw, _ERROR_BYTES, self._body_timeout)
                    raise self._download_error(_response(raw, start))
                temporary = stack.enter_context(temporary_beside(target))
                with temporary.open("wb") as file:
                    for chunk in iter_body(raw, max_bytes, self._body_timeout):
                        file.write(chunk)
                try:
                    return move_media(temporary, target, type)
                except errors.BadMediaError as error:
                    with temporary.open("rb") as file:
                        response = _response(raw, file.read(_ERROR_BYTES))
                    # Some services send errors with a status of success.
                    known = self._known_error(response)
                    raise known or errors.BadMediaError(f"From {response.host}: {error.message}") from None

        return self._with_retries(download_once)

    # One request

    @contextmanager
    def _send(
        self,
        client: httpx.Client,
        method: str,
        url: str | httpx.URL,
        *,
        trace: Trace | None = None,
        **options: Any,
    ) -> Iterator[httpx.Response]:
        """Send a request when its turn has come; turn the errors of httpx into those of this package."""

        def on_event(event: str, info: dict[str, Any]) -> None:
            self._remember_socket(event, info)
            if trace is not None:
                trace(event, info)

        try:
            request = client.build_request(method, url, extensions={"trace": on_event}, **options)
            request.url.host.encode("idna")  # connecting would do the same
        except (httpx.InvalidURL, UnicodeError) as error:
            raise _unsendable(error) from None
        host = request.url.host
        with self._slots:
            self._wait_for_turn(host)
            try:
                if self._closed.is_set():
                    raise RuntimeError("the client was closed")
                with closing(client.send(request, stream=True)) as response:
                    yield response
            except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
                raise _unsendable(error) from None
            except httpx.InvalidURL:  # the target of a redirect, which httpx parses by itself
                raise errors.ProviderError(
                    f"{host} redirects to something that is not a valid address."
                ) from None
            except httpx.HTTPError as error:
                raise _transient_error(host, error) from None
            except RuntimeError as error:  # httpx raises it too if the client was closed
                if not self._closed.is_set():
                    raise
                raise errors.TransientError(f"The request to {host} was cancelled ({error}).") from None

    def _remember_socket(self, event: str, info: dict[str, Any]) -> None:
        """Keep every new connection for `close`; an httpx `trace` extension."""
        if not event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            return
        stream = info["return_value"]
        with self._lock:
            self._sockets.add(stream.get_extra_info("socket"))
        if self._closed.is_set():  # too late for `close` to see it
            stream.close()
            raise RuntimeError("the client was closed")

    def _follow_redirects(self, stack: ExitStack, link: str) -> httpx.Response:
        """Return the response at the end of all redirects, after checking each of them."""
        url = httpx.URL()
        for _ in range(_MAX_REDIRECTS + 1):
            url = self._guard.join(url, link)
            hop = stack.enter_context(ExitStack())
            response = hop.enter_context(
                self._send(self._downloads, "GET", url, trace=self._guard.trace(url))
            )
            if not response.has_redirect_location:
                return response
            link = response.headers["location"]
            hop.close()
        raise errors.BadMediaError(f"{url.host} redirects too many times.")

    def _wait_for_turn(self, host: str) -> None:
        """Wait until the service and the rate limit allow one more request, unless that takes too long."""
        while not self._closed.is_set():
            pause = self._not_before - time.monotonic()
            if pause > self._settings.longest_wait:
                raise errors.RateLimitedError(
                    f"{host} does not accept requests for another {pause:.0f} s.", retry_after=pause
                )
            if pause <= 0:
                if self._may_send is None or self._may_send():
                    return
                pause = 0.01
            self._closed.wait(pause)

    def _download_error(self, response: Response) -> errors.ProviderError:
        """Return the error of a download. A server of files may need another key, or none."""
        error = self._known_error(response)
        if error is None:
            error = error_for(response)
            if not isinstance(error, errors.TransientError | errors.RateLimitedError):
                error = errors.BadMediaError(
                    f"{response.host} does not send the file (status {response.status})."
                )
        return error

    def _known_error(self, response: Response) -> errors.ProviderError | None:
        """Return the error that the provider sees in a response in place of a file, if it looks like JSON."""
        return self._error_for(response) if response.content.lstrip()[:1] in (b"[", b"{") else None

    # Retries

    def _with_retries(self, once: Callable[[], T], *, idempotent: bool = True) -> T:
        retrying = tenacity.Retrying(
            retry=lambda state: self._is_worth_retrying(state, idempotent),
            stop=tenacity.stop_after_attempt(1 + self._settings.max_retries),
            wait=_pause,
            sleep=tenacity.sleep_using_event(self._closed),
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            return retrying(once)
        except errors.ProviderError as error:
            error.redact(self._secrets)
            raise

    def _is_worth_retrying(self, state: tenacity.RetryCallState, idempotent: bool) -> bool:
        error = _error_of(state)
        if self._closed.is_set():
            return False
        if isinstance(error, errors.RateLimitedError):
            wait = error.retry_after or 0.0
            # All requests of this provider wait, not only this one.
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + wait)
            return wait <= self._settings.longest_wait
        if isinstance(error, errors.BadMediaError):
            return idempotent and state.attempt_number == 1
        return isinstance(error, errors.TransientError) and (idempotent or not error.reply_lost)

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        message = redact(str(_error_of(state)), self._secrets)
        self._logger.debug("Retrying in %.1f s: %s", state.upcoming_sleep, message)


class _Mask(logging.Filter):
    """Masks secrets in the records of loggers that would show them."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage(), self._secrets), ()
        return True


@functools.cache
def _trusted_certificates() -> ssl.SSLContext:
    """Return the context for all clients: reading certificates takes longer than the rest of making a client."""
    return httpx.create_ssl_context()


def _response(raw: httpx.Response, content: bytes) -> Response:
    headers = {name.lower(): value for name, value in raw.headers.items()}
    return Response(raw.status_code, headers, content, raw.url.host)


def _unsendable(error: Exception) -> errors.InvalidRequestError:
    return errors.InvalidRequestError(f"The request cannot be sent ({type(error).__name__}: {error}).")


def _transient_error(host: str, error: httpx.HTTPError) -> errors.TransientError:
    """Return the error of a request that did not arrive, or of one whose response was lost."""
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)):
        return errors.TransientError(
            f"{host} cannot be reached ({reason}).", hint="Check the network connection and the address."
        )
    if isinstance(error, httpx.TimeoutException):
        return errors.TransientError(f"{host} did not answer in time ({reason}).", reply_lost=True)
    return errors.TransientError(f"The connection to {host} was lost ({reason}).", reply_lost=True)


def _pause(state: tenacity.RetryCallState) -> float:
    error = _error_of(state)
    if isinstance(error, errors.RateLimitedError) and error.retry_after is not None:
        return error.retry_after
    return _DEFAULT_BACKOFF(state)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
