"""Requests of a service: what a reply means, when a request is made again, and how all of it ends."""

from __future__ import annotations

import gzip
import logging
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

import pytest

from deckwright import (
    AuthenticationError,
    BadMediaError,
    InvalidRequestError,
    MediaRequest,
    MissingDependencyError,
    NotFoundError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    TransientError,
)
from deckwright.testing.servers import (
    Dropped,
    Exchange,
    GzipBomb,
    HtmlPage,
    LostReply,
    Oversized,
    Reply,
    Slow,
    Truncated,
)
from deckwright.toolkit.http import Response, error_for

Make = Callable[..., Any]

GZIPPED = gzip.compress(b"uno")
TOO_MANY = Reply(429, headers={"Retry-After": "0"})
LONG = 30.0  # seconds, which no test should take


class Drip:
    """A reply that comes byte by byte."""

    def apply(self, exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            exchange.write(b"x")
            exchange.wait(0.01)


class Noticed:
    """A silence that tells when it begins."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def apply(self, exchange: Exchange) -> None:
        self.begun.set()
        exchange.wait(LONG)


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (302, ProviderError),
            (308, ProviderError),
            (400, InvalidRequestError),
            (401, AuthenticationError),
            (402, QuotaError),
            (403, AuthenticationError),
            (404, NotFoundError),
            (405, InvalidRequestError),
            (408, TransientError),
            (409, InvalidRequestError),
            (410, NotFoundError),
            (413, InvalidRequestError),
            (418, InvalidRequestError),
            (422, InvalidRequestError),
            (425, TransientError),
            (429, RateLimitedError),
            (499, InvalidRequestError),
            (500, TransientError),
            (501, TransientError),
            (502, TransientError),
            (503, TransientError),
            (504, TransientError),
            (520, TransientError),
            (599, TransientError),
        ],
    )
    def test_each_has_its_error(
        self, service: Any, birds: Make, status: int, error: type[ProviderError]
    ) -> None:
        service.fail(Reply(status, b"because", {"Location": "/there"}))
        with pytest.raises(ProviderError) as caught:
            birds().http.request("GET", f"{service.url}/api")
        assert type(caught.value) is error
        assert "127.0.0.1" in caught.value.message
        assert ("/there" if status < 400 else f"{status}") in caught.value.message
        assert len(service.requests) == 1

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_success_is_no_error(self, service: Any, birds: Make, status: int) -> None:
        service.fail(Reply(status, headers={"X-Number": "7"}))
        reply = birds().http.request("GET", f"{service.url}/api")
        assert (reply.status, reply.headers["x-number"], reply.host) == (status, "7", "127.0.0.1")

    @pytest.mark.parametrize(
        ("status", "lost"), [(500, False), (502, True), (503, False), (504, True), (521, False), (524, True)]
    )
    def test_a_gateway_may_have_lost_the_reply(self, status: int, lost: bool) -> None:
        error = error_for(Response(status, {}, b"", "host"))
        assert isinstance(error, TransientError)
        assert error.reply_lost is lost

    def test_the_message_says_what_the_service_says(self) -> None:
        long = Response(400, {}, b"first\n  second " + b"x" * 10_000, "host")
        error = error_for(long)
        assert error is not None
        assert "host answered 400 (Bad Request): first second xxx" in error.message
        assert len(error.message) < 300
        assert "the reason" in str(error_for(long, "the reason"))

    def test_a_pause_at_a_503_is_like_one_at_a_429(self) -> None:
        error = error_for(Response(503, {"retry-after": "7"}, b"", "host"))
        assert isinstance(error, RateLimitedError)
        assert error.retry_after == 7

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"retry-after": "7"}, 7),
            ({"retry-after": "0.5"}, 0.5),
            ({"retry-after": "-3"}, 0),
            ({"retry-after-ms": "1500"}, 1.5),
            ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
            ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
            ({"retry-after": formatdate(0, usegmt=True)}, 0),
            ({"retry-after": "soon"}, None),
            ({"retry-after": "Wed, 99 Foo 2026 99:99:99 GMT"}, None),
            ({"retry-after": ""}, None),
            ({}, None),
        ],
    )
    def test_how_long_to_wait(self, headers: dict[str, str], seconds: float | None) -> None:
        assert Response(429, headers, b"", "host").retry_after == seconds

    def test_until_when_to_wait(self) -> None:
        seconds = Response(
            429, {"retry-after": formatdate(time.time() + 90, usegmt=True)}, b"", "h"
        ).retry_after
        assert seconds == pytest.approx(90, abs=5)


class TestTries:
    @pytest.mark.parametrize("retries", [0, 1, 2])
    def test_as_many_as_the_settings_say(self, service: Any, birds: Make, retries: int) -> None:
        service.fail(TOO_MANY, times=None)
        with pytest.raises(RateLimitedError):
            birds(max_retries=retries).http.request("GET", f"{service.url}/api")
        assert len(service.requests) == 1 + retries

    def test_until_one_succeeds(self, service: Any, birds: Make) -> None:
        service.fail(TOO_MANY, times=2)
        reply = birds(max_retries=5).http.request("POST", f"{service.url}/api", json={"word": "uno"})
        assert reply.json() == {"path": "/api"}
        assert [received.json() for received in service.requests] == [{"word": "uno"}] * 3

    @pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 409, 422])
    def test_not_where_another_cannot_help(self, service: Any, birds: Make, status: int) -> None:
        service.fail(Reply(status, headers={"Retry-After": "0"}), times=None)
        with pytest.raises(ProviderError):
            birds(max_retries=3).http.request("GET", f"{service.url}/api")
        assert len(service.requests) == 1

    def test_after_half_a_second_where_the_service_says_nothing(self, service: Any, birds: Make) -> None:
        service.fail(Reply(500))
        birds(max_retries=1).http.request("GET", f"{service.url}/api")
        first, second = service.requests
        assert second.at - first.at >= 0.5

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("headers", [{"Retry-After": "0.2"}, {"Retry-After-Ms": "200"}])
    def test_after_the_time_that_the_service_says(
        self, service: Any, birds: Make, status: int, headers: dict[str, str]
    ) -> None:
        service.fail(Reply(status, headers=headers))
        birds(max_retries=1).http.request("GET", f"{service.url}/api")
        first, second = service.requests
        assert second.at - first.at >= 0.2

    @pytest.mark.parametrize(
        "asked", ["2", "86400", "inf", formatdate(4_000_000_000, usegmt=True)], ids=lambda asked: asked[:5]
    )
    def test_not_when_the_wait_would_be_too_long(self, service: Any, birds: Make, asked: str) -> None:
        service.fail(Reply(429, headers={"Retry-After": asked}), times=None)
        with pytest.raises(RateLimitedError) as caught:
            birds(max_retries=3, longest_wait=1).http.request("GET", f"{service.url}/api")
        assert len(service.requests) == 1
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= 2

    def test_a_long_pause_is_kept_by_all_that_comes_after(self, service: Any, birds: Make) -> None:
        service.fail(Reply(429, headers={"Retry-After": "300"}))
        provider = birds(longest_wait=1)
        for _ in range(5):
            with pytest.raises(RateLimitedError) as caught:
                provider.http.request("GET", f"{service.url}/api")
            assert caught.value.retry_after is not None
            assert 290 < caught.value.retry_after <= 300
        assert len(service.requests) == 1


@pytest.mark.usefixtures("at_once")
class TestLostReplies:
    FAULTS = (
        pytest.param(Dropped(), id="dropped"),
        pytest.param(Dropped(reset=True), id="reset"),
        pytest.param(Dropped(after=3), id="dropped within the body"),
        pytest.param(LostReply(), id="dropped after the work"),
        pytest.param(Truncated(), id="truncated"),
        pytest.param(Slow(LONG), id="slow"),
        pytest.param(Reply(502), id="502"),
        pytest.param(LostReply(Reply(504)), id="504"),
    )

    @pytest.mark.parametrize("fault", FAULTS)
    def test_what_may_have_been_paid_for_is_not_requested_again(
        self, service: Any, birds: Make, fault: Any
    ) -> None:
        service.fail(fault)
        with pytest.raises(TransientError) as caught:
            birds(max_retries=2, timeout=0.2).http.request("POST", f"{service.url}/api", idempotent=False)
        assert caught.value.reply_lost
        assert len(service.requests) == 1

    def test_a_reply_may_not_come_byte_by_byte_for_ever(self, service: Any, birds: Make) -> None:
        service.fail(Drip())
        with pytest.raises(TransientError, match="too slowly") as caught:
            birds(max_retries=2, timeout=0.1).http.request("POST", f"{service.url}/api", idempotent=False)
        assert caught.value.reply_lost
        assert len(service.requests) == 1

    @pytest.mark.parametrize("fault", FAULTS)
    def test_what_costs_nothing_is(self, service: Any, birds: Make, fault: Any) -> None:
        service.fail(fault)
        reply = birds(max_retries=1, timeout=0.2).http.request("GET", f"{service.url}/api")
        assert reply.json() == {"path": "/api"}
        assert len(service.requests) == 2

    @pytest.mark.parametrize("fault", [Reply(500), Reply(503), Reply(429), TOO_MANY])
    def test_what_was_refused_is_requested_again_in_any_case(
        self, service: Any, birds: Make, fault: Any
    ) -> None:
        service.fail(fault)
        birds(max_retries=1).http.request("POST", f"{service.url}/api", idempotent=False)
        assert len(service.requests) == 2

    def test_what_never_got_there_is_requested_again_in_any_case(
        self, service: Any, birds: Make, internet: Any
    ) -> None:
        service.stop()
        internet.connected.clear()
        with pytest.raises(TransientError, match="cannot be reached") as caught:
            birds(max_retries=2).http.request("POST", f"{service.url}/api", idempotent=False)
        assert not caught.value.reply_lost
        assert len(internet.connected) == 3

    @pytest.mark.parametrize(
        "fault",
        [
            Oversized(size=2000),
            Oversized(size=2000, declared=False),
            GzipBomb(size=1 << 20),
            Reply(200, b"?", {"Content-Encoding": "br"}),
        ],
    )
    @pytest.mark.parametrize(("idempotent", "tries"), [(True, 2), (False, 1)])
    def test_a_reply_that_is_of_no_use_was_paid_for_too(
        self, service: Any, birds: Make, fault: Any, idempotent: bool, tries: int
    ) -> None:
        service.fail(fault, times=None)
        with pytest.raises(BadMediaError):
            birds(max_retries=2).http.request(
                "POST", f"{service.url}/api", idempotent=idempotent, max_bytes=1000
            )
        assert len(service.requests) == tries


class TestReplies:
    def ask(self, service: Any, birds: Make, fault: Any, **options: Any) -> Any:
        service.fail(fault)
        return birds().http.request("GET", f"{service.url}/api", **options)

    @pytest.mark.parametrize(
        "fault",
        [Oversized(), Oversized(declared=False), GzipBomb()],
        ids=["declared", "not declared", "bomb"],
    )
    def test_a_large_one_is_given_up_in_little_memory(self, service: Any, birds: Make, fault: Any) -> None:
        http = birds().http
        http.request("GET", f"{service.url}/api")
        service.fail(fault)
        tracemalloc.start()
        with pytest.raises(BadMediaError, match="more than 1 MB"):
            http.request("GET", f"{service.url}/api", max_bytes=1_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # The server's blocks, which are of 1 MB, and its bomb are among it.
        assert peak < 20_000_000

    def test_a_compressed_one_is_unpacked(self, service: Any, birds: Make) -> None:
        body = b"[" + b"1, " * 200_000 + b"1]"
        parts = gzip.compress(body[:1000]) + gzip.compress(body[1000:])
        reply = self.ask(service, birds, Reply(200, parts, {"Content-Encoding": "gzip"}))
        assert reply.content == body
        assert service.requests[0].headers["accept-encoding"] == "gzip"

    def test_one_that_is_compressed_and_empty_is_empty(self, service: Any, birds: Make) -> None:
        assert self.ask(service, birds, Reply(200, b"", {"Content-Encoding": "gzip"})).content == b""

    @pytest.mark.parametrize(
        "body", [gzip.compress(b"uno", mtime=0)[:-3], gzip.compress(b"uno", mtime=0) + b"?", b"uno"]
    )
    def test_a_compressed_one_that_is_not_whole_is_lost(self, service: Any, birds: Make, body: bytes) -> None:
        with pytest.raises(TransientError) as caught:
            self.ask(service, birds, Reply(200, body, {"Content-Encoding": "gzip"}))
        assert caught.value.reply_lost

    @pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "nonsense"])
    def test_an_encoding_that_was_not_requested(self, service: Any, birds: Make, encoding: str) -> None:
        with pytest.raises(BadMediaError, match=encoding):
            self.ask(service, birds, Reply(200, b"?", {"Content-Encoding": encoding}))

    def test_of_an_error_the_status_is_enough(self, service: Any, birds: Make) -> None:
        with pytest.raises(NotFoundError):
            self.ask(service, birds, Reply(404, b"?", {"Content-Encoding": "br"}))

    @pytest.mark.parametrize(
        "fault",
        [HtmlPage(), Reply(200), Reply(200, b"[" * 100_000), Reply(200, b'{"a": "\xff"}')],
        ids=["page", "nothing", "nested", "not text"],
    )
    def test_one_that_is_no_json(self, service: Any, birds: Make, fault: Any) -> None:
        reply = self.ask(service, birds, fault)
        with pytest.raises(TransientError, match="not JSON"):
            reply.json()

    @pytest.mark.parametrize(
        ("target", "options"),
        [
            ("/api\x00", {}),
            ("/api", {"headers": {"x-word": "un\no"}}),
            ("/api", {"headers": {"x-word": "\u00fc"}}),
            ("/api", {"json": "\ud800"}),
        ],
    )
    def test_a_request_that_cannot_be_sent(
        self, service: Any, birds: Make, target: str, options: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidRequestError, match="cannot be sent"):
            birds(max_retries=2).http.request("POST", service.url + target, **options)
        assert not service.requests

    @pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "words", f"http://{'a' * 64}.test/"])
    def test_an_address_that_is_none(self, birds: Make, url: str) -> None:
        with pytest.raises(InvalidRequestError, match="cannot be sent"):
            birds(max_retries=2).http.request("GET", url)


class TestSecrets:
    def test_the_key_is_in_no_message_and_in_no_log(
        self, service: Any, birds: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        key = "three and thirty/birds"
        provider = birds(api_key=key, max_retries=1)
        service.fail(Reply(429, f"You said {key}".encode(), {"Retry-After": "0"}), times=2)
        with pytest.raises(RateLimitedError, match=r"You said \*\*\*") as caught:
            provider.http.request("GET", f"{service.url}/api/three%20and%20thirty%2Fbirds")
        assert service.requests[0].headers["authorization"] == f"Bearer {key}"
        assert "thirty" not in f"{caught.value!r} {caught.value}"
        shown = [record.getMessage() for record in caplog.records]
        assert any("HTTP Request: GET" in line for line in shown)
        assert not [line for line in shown if "thirty" in line]


class TestTogether:
    def test_every_thread_has_its_own_reply(self, service: Any, birds: Make) -> None:
        http = birds(max_concurrent=4).http
        paths = [f"/api/{number}" for number in range(80)]
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda path: http.request("GET", service.url + path), paths))
        assert [reply.json()["path"] for reply in replies] == paths
        assert sorted(service.paths) == sorted(paths)

    def test_all_threads_have_the_same_client(self, birds: Make) -> None:
        provider, barrier = birds(), threading.Barrier(8)

        def client(_: int) -> Any:
            barrier.wait(LONG)
            return provider.http

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(client, range(8)))) == 1

    @pytest.mark.parametrize("retries", [0, 1])
    def test_when_one_is_reported_to_wait_all_do(
        self, service: Any, birds: Make, waits: Any, retries: int
    ) -> None:
        http = birds(max_concurrent=8, max_retries=retries).http
        service.fail(Reply(429, headers={"Retry-After-Ms": "300"}))
        url = f"{service.url}/api"
        with ThreadPoolExecutor(8) as pool:
            expected = pool.submit(http.request, "GET", url)
            if retries:
                assert waits.begun.wait(LONG)
            else:
                assert isinstance(expected.exception(LONG), RateLimitedError)
            for other in [pool.submit(http.request, "GET", url) for _ in range(7)]:
                other.result(LONG)
        first, *rest = service.requests
        assert len(rest) == 7 + retries
        assert min(received.at for received in rest) - first.at >= 0.3

    def test_connections_are_used_again(self, service: Any, birds: Make, internet: Any) -> None:
        http = birds().http
        for _ in range(3):
            http.request("GET", f"{service.url}/api")
        assert len(internet.connected) == 1

    def test_connections_are_not_used_again_where_a_server_cannot(
        self, service: Any, birds: Make, internet: Any, provider_class: Any
    ) -> None:
        class OneByOne(provider_class):  # type: ignore[misc]
            reuse_connections = False

        http = birds(OneByOne).http
        for _ in range(3):
            http.request("GET", f"{service.url}/api")
        assert len(internet.connected) == 3

    def test_a_connection_that_was_closed_meanwhile_is_no_fault(self, service: Any, birds: Make) -> None:
        http = birds().http
        http.request("POST", f"{service.url}/api", idempotent=False)
        service.stop()
        service.start()
        http.request("POST", f"{service.url}/api", idempotent=False)
        assert len(service.requests) == 2


class TestClosing:
    def test_afterwards_the_provider_connects_again(self, service: Any, birds: Make) -> None:
        provider = birds()
        for _ in range(3):
            provider.http.request("GET", f"{service.url}/api")
            provider.close()
            provider.close()
        assert len(service.requests) == 3

    def test_a_client_that_is_closed_makes_no_requests(self, service: Any, birds: Make) -> None:
        provider = birds(max_retries=3)
        http = provider.http
        provider.close()
        with pytest.raises(TransientError, match="was cancelled"):
            http.request("GET", f"{service.url}/api")
        assert not service.requests

    def test_a_provider_that_was_never_used_opens_nothing(self, service: Any, birds: Make) -> None:
        birds().close()
        assert not service.requests

    def test_it_ends_the_wait_before_another_try(self, service: Any, birds: Make, waits: Any) -> None:
        provider = birds(max_retries=3)
        service.fail(Reply(429, headers={"Retry-After": f"{LONG}"}), times=None)
        with ThreadPoolExecutor(4) as pool:
            http = provider.http
            first = pool.submit(http.request, "GET", f"{service.url}/api")
            assert waits.begun.wait(LONG)
            others = [pool.submit(http.request, "GET", f"{service.url}/api") for _ in range(3)]
            self.close(provider)
            assert isinstance(first.exception(LONG), RateLimitedError | TransientError)
            for other in others:
                assert isinstance(other.exception(LONG), TransientError)
        assert len(service.requests) == 1

    def test_it_ends_the_wait_for_a_reply_and_for_a_place(self, service: Any, birds: Make) -> None:
        provider, silence = birds(max_retries=3, timeout=LONG, max_concurrent=1), Noticed()
        service.fail(silence)
        with ThreadPoolExecutor(4) as pool:
            http = provider.http
            first = pool.submit(http.request, "GET", f"{service.url}/api")
            assert silence.begun.wait(LONG)
            others = [pool.submit(http.request, "GET", f"{service.url}/api") for _ in range(3)]
            self.close(provider)
            for each in (first, *others):
                assert isinstance(each.exception(LONG), TransientError)
        assert len(service.requests) == 1

    def test_it_ends_the_wait_for_the_rate(self, service: Any, birds: Make) -> None:
        provider = birds(requests_per_second=0.01)
        http = provider.http
        http.request("GET", f"{service.url}/api")
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(http.request, "GET", f"{service.url}/api") for _ in range(4)]
            self.close(provider)
            for each in waiting:
                assert isinstance(each.exception(LONG), TransientError)
        assert len(service.requests) == 1

    @pytest.fixture(autouse=True)
    def soon(self) -> Any:
        """All of it takes but a moment."""
        self.closed = time.monotonic()
        yield
        assert time.monotonic() - self.closed < LONG / 10

    def close(self, provider: Any) -> None:
        self.closed = time.monotonic()
        provider.close()


class TestMissingPackages:
    @pytest.mark.parametrize("package", ["httpx", "tenacity", "pyrate_limiter"])
    def test_it_is_reported_what_to_install(
        self, birds: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, package: str
    ) -> None:
        if package != "pyrate_limiter":  # which is imported by those only who need it
            monkeypatch.delitem(sys.modules, "deckwright.toolkit.http.client", raising=False)
        monkeypatch.setitem(sys.modules, package, None)
        provider = birds(requests_per_second=5)
        with pytest.raises(MissingDependencyError) as caught:
            provider.http  # noqa: B018 - it is made when it is looked at
        assert package in caught.value.message
        assert caught.value.hint == 'pip install "deckwright[online]"'
        result = provider.generate_media(MediaRequest("audio", "http://127.0.0.1/", {}, tmp_path / "a.mp3"))
        assert isinstance(result.failure, MissingDependencyError)
