"""The HTTP client of one provider: httpx, with the user's time-outs, retries and limits, and secrets kept out of sight.

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

from deckwright.errors import (
    BadMediaError,
    InvalidRequestError,
    ProviderError,
    RateLimitedError,
    TransientError,
)
from deckwright.secrets import redact
from deckwright.toolkit.http.body import beginning, chunks, read
from deckwright.toolkit.http.download_guard import DownloadGuard, Trace
from deckwright.toolkit.http.rate_limit import rate_limit
from deckwright.toolkit.http.response import Reply, error_for
from deckwright.toolkit.http.settings import HttpSettings
from deckwright.toolkit.media_format import keep_media, temporary_beside

T = TypeVar("T")
Explain = Callable[[Reply], "ProviderError | None"]

# Bytes. The largest reply with pictures in it, ten of some megabytes as base64, stays well below.
LARGEST_REPLY = 100_000_000
LARGEST_FILE = 30_000_000
# What is read of a reply that is only to be looked at for its error.
_ENOUGH_OF_AN_ERROR = 65_536
# A reply that comes drop by drop is given up after so many times the time-out.
_PATIENCE = 10
_MOST_REDIRECTS = 5
# What a machine is to itself: no proxy could reach it.
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
# Those that write URLs and headers into their logs.
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")
_DEFAULT_BACKOFF = tenacity.wait_exponential(multiplier=0.5, max=10) + tenacity.wait_random(0, 0.5)


class HttpClient:
    """Makes requests for one provider. It may be used from several threads.

    Args:
        settings: How.
        base_url: Where the service is; what is downloaded may be there, or at any public address.
        headers: Sent to the service with every request, and never with a download.
        secrets: What is masked in every message and log.
        explain: Returns the error that a reply stands for, or None when it is none.
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
        explain: Explain = error_for,
        reuse_connections: bool = True,
        logger: logging.Logger | None = None,
    ) -> None:
        self._settings = settings
        self._secrets = tuple(secrets)
        self._explain = explain
        self._logger = logger or logging.getLogger(__name__)
        self._guard = DownloadGuard(base_url)
        self._places = threading.BoundedSemaphore(settings.max_concurrent)
        self._limiter = rate_limit(settings.requests_per_second)
        self._patience = _PATIENCE * settings.timeout
        self._closed = threading.Event()
        self._lock = threading.Lock()  # for the next two
        self._not_before = 0.0
        self._sockets: WeakSet[socket.socket] = WeakSet()
        common: dict[str, Any] = {
            "verify": _certificates(),
            "mounts": {f"all://{host}": None for host in _THIS_MACHINE},
            # The places above are the limit; to wait for one of them is no fault of the service.
            "timeout": httpx.Timeout(settings.timeout, pool=None),
            "limits": httpx.Limits(
                max_connections=settings.max_concurrent,
                max_keepalive_connections=settings.max_concurrent if reuse_connections else 0,
            ),
        }
        about = {"user-agent": settings.user_agent, "accept-encoding": "gzip"}
        self._api = httpx.Client(headers={**about, **(headers or {})}, **common)
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        self._web = httpx.Client(
            headers={**about, "accept-encoding": "identity"}, cookies=no_cookies, **common
        )
        self._mask = _Mask(self._secrets)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._mask)

    def close(self) -> None:
        """Close all connections, and end all waiting, for a reply or for another try."""
        self._closed.set()
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            with suppress(OSError):  # it is closed already
                # That of the base class, since others read from it; only this wakes them.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        self._api.close()
        self._web.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._mask)

    def wait(self, seconds: float) -> bool:
        """Wait, unless the client is closed meanwhile; say whether it is open still."""
        return not self._closed.wait(seconds)

    def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = True,
        largest: int = LARGEST_REPLY,
    ) -> Reply:
        """Make a request of the service, again where that may help.

        Args:
            method: `"GET"`, `"POST"`.
            url: The whole address.
            json: What to send as JSON.
            headers: Beside those of every request.
            idempotent: Whether making it twice does no harm. One that is not, and may cost money, is not made
                again when its reply was lost.
            largest: How many bytes the reply may have.

        Raises:
            ProviderError: Of the kind that fits; see `deckwright.errors`.
        """

        def once() -> Reply:
            with self._sent(self._api, method, url, json=json, headers=headers) as response:
                reply = _reply(response, read(response, largest, self._patience))
            if error := self._explain(reply):
                raise error
            return reply

        return self._retried(once, idempotent=idempotent)

    def download(self, url: str, target: Path, type: str, *, largest: int = LARGEST_FILE) -> Path:
        """Fetch a sound or picture that a service points to.

        Nothing of the provider's goes along: no key, no cookie. The address must be a public one, or that of a
        service which is itself local, and so must every one that it is redirected to.

        Args:
            url: Where it is.
            target: Where it goes. Nothing is there before it is complete.
            type: What it should be: `"audio"` or `"image"`.
            largest: How many bytes it may have.

        Returns:
            The file: `target`, with the ending of its content.

        Raises:
            BadMediaError: It is something else, too large, or at an address that is not fetched.
            ProviderError: As for `request`.
        """

        def once() -> Path:
            with ExitStack() as stack:
                response = self._final(stack, url)
                if response.status_code >= 400:
                    raise self._refusal(
                        _reply(response, beginning(response, _ENOUGH_OF_AN_ERROR, self._patience))
                    )
                temporary = stack.enter_context(temporary_beside(target))
                with temporary.open("wb") as file:
                    for chunk in chunks(response, largest, self._patience):
                        file.write(chunk)
                try:
                    return keep_media(temporary, target, type)
                except BadMediaError as error:
                    with temporary.open("rb") as file:
                        reply = _reply(response, file.read(_ENOUGH_OF_AN_ERROR))
                    # A service may tell an error with a friendly status.
                    raise self._explained(reply) or BadMediaError(
                        f"From {reply.host}: {error.message}"
                    ) from None

        return self._retried(once)

    # One request

    @contextmanager
    def _sent(
        self,
        client: httpx.Client,
        method: str,
        url: str | httpx.URL,
        *,
        trace: Trace | None = None,
        **more: Any,
    ) -> Iterator[httpx.Response]:
        """Send a request when its turn has come; turn what httpx raises into errors of this package."""

        def traced(event: str, info: dict[str, Any]) -> None:
            if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
                stream = info["return_value"]
                with self._lock:
                    self._sockets.add(stream.get_extra_info("socket"))
                if self._closed.is_set():  # too late for `close` to know of it
                    stream.close()
                    raise RuntimeError("the client was closed")
            if trace is not None:
                trace(event, info)

        try:
            request = client.build_request(method, url, extensions={"trace": traced}, **more)
            request.url.host.encode("idna")  # as connecting will have it
        except (httpx.InvalidURL, UnicodeError) as error:
            raise _unsendable(error) from None
        host = request.url.host
        with self._places:
            self._wait_for_turn(host)
            try:
                if self._closed.is_set():
                    raise RuntimeError("the client was closed")
                with closing(client.send(request, stream=True)) as response:
                    yield response
            except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
                raise _unsendable(error) from None
            except httpx.InvalidURL:  # that of a redirect, which httpx looks at by itself
                raise ProviderError(f"{host} sends requests on to something that is no address.") from None
            except httpx.HTTPError as error:
                raise _transient(host, error) from None
            except RuntimeError as error:  # of httpx too, when the client was closed
                if not self._closed.is_set():
                    raise
                raise TransientError(f"{host}: the request was given up ({error}).") from None

    def _final(self, stack: ExitStack, link: str) -> httpx.Response:
        """Return the response at the end of all redirects, each of which was looked at."""
        url = httpx.URL()
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                url = url.join(link) if url.host else httpx.URL(link)
            except httpx.InvalidURL:
                raise BadMediaError("The service points to something that is no address.") from None
            self._guard.require(url)
            hop = stack.enter_context(ExitStack())
            response = hop.enter_context(self._sent(self._web, "GET", url, trace=self._guard.watching(url)))
            if not response.has_redirect_location:
                return response
            link = response.headers["location"]
            hop.close()
        raise BadMediaError(f"{url.host} redirects in circles.")

    def _wait_for_turn(self, host: str) -> None:
        """Wait until the service and the rate limit allow one more request.

        Raises:
            RateLimitedError: That takes too long.
        """
        while not self._closed.is_set():
            pause = self._not_before - time.monotonic()
            if pause > self._settings.longest_wait:
                raise RateLimitedError(
                    f"{host} has asked for a pause, of which {pause:.0f} s are left.", retry_after=pause
                )
            if pause <= 0:
                if self._limiter is None or self._limiter():
                    return
                pause = 0.01
            self._closed.wait(pause)

    def _refusal(self, reply: Reply) -> ProviderError:
        """Return the error of a download. Where a file is, another key may be asked for, or none at all."""
        if error := self._explained(reply):
            return error
        error = error_for(reply)
        if isinstance(error, TransientError | RateLimitedError):
            return error
        return BadMediaError(f"{reply.host} does not give out the file ({reply.status}).")

    def _explained(self, reply: Reply) -> ProviderError | None:
        """Ask the provider about what came in place of a file, when it is of a form that it may know."""
        return self._explain(reply) if reply.content.lstrip()[:1] in (b"[", b"{") else None

    # Several tries

    def _retried(self, once: Callable[[], T], *, idempotent: bool = True) -> T:
        retrying = tenacity.Retrying(
            retry=lambda state: self._is_worth_another_try(state, idempotent),
            stop=tenacity.stop_after_attempt(1 + self._settings.max_retries),
            wait=self._pause,
            sleep=tenacity.sleep_using_event(self._closed),
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            return retrying(once)
        except ProviderError as error:
            error.redact(self._secrets)
            raise

    def _is_worth_another_try(self, state: tenacity.RetryCallState, idempotent: bool) -> bool:
        error = _error_of(state)
        if self._closed.is_set():
            return False
        if isinstance(error, RateLimitedError):
            wait = error.retry_after or 0.0
            # All of this provider's requests wait, not only the one that was told so.
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + wait)
            return wait <= self._settings.longest_wait
        if isinstance(error, BadMediaError):
            return idempotent and state.attempt_number == 1
        return isinstance(error, TransientError) and (idempotent or not error.reply_lost)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = _error_of(state)
        if isinstance(error, RateLimitedError) and error.retry_after is not None:
            return error.retry_after
        return _DEFAULT_BACKOFF(state)

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        error = _error_of(state)
        self._logger.debug(
            "Trying again in %.1f s: %s", state.upcoming_sleep, redact(str(error), self._secrets)
        )


class _Mask(logging.Filter):
    """Masks secrets in the records of loggers that would show them."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage(), self._secrets), ()
        return True


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return whom to trust: the same for all, since reading it takes longer than all else that a client needs."""
    return httpx.create_ssl_context()


def _reply(response: httpx.Response, content: bytes) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, content, response.url.host)


def _unsendable(error: Exception) -> InvalidRequestError:
    return InvalidRequestError(f"The request cannot be sent ({type(error).__name__}: {error}).")


def _transient(host: str, error: httpx.HTTPError) -> TransientError:
    """Tell a request that never got there from one whose reply was lost."""
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)):
        return TransientError(
            f"{host} cannot be reached ({reason}).", hint="Check the network, and where the setting leads."
        )
    if isinstance(error, httpx.TimeoutException):
        return TransientError(f"{host} did not answer in time ({reason}).", reply_lost=True)
    return TransientError(f"The connection to {host} was lost ({reason}).", reply_lost=True)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
