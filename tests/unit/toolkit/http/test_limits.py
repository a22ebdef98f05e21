"""Limits: never more requests in a second, nor at once, than the settings say; counted at the server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deckwright import MediaRequest
from deckwright.testing.servers import Exchange, Reply, samples

Make = Callable[..., Any]


class Counted:
    """Answers after a while, and counts who waits for that; an answer may be read before it is known as sent."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def apply(self, exchange: Exchange) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        exchange.wait(0.03)
        with self._lock:
            self.now -= 1
        exchange.answer().apply(exchange)


def is_kept(measure: Callable[[], bool]) -> bool:
    """Measure up to three times: on a busy machine, the server may notice a request late and the next one in time."""
    return any(measure() for _ in range(3))


class TestRate:
    @pytest.mark.parametrize(("rate", "most", "count"), [(5.9, 5, 8), (20, 20, 32)])
    def test_no_second_has_more(self, service: Any, birds: Make, rate: float, most: int, count: int) -> None:
        def measure() -> bool:
            service.requests.clear()
            http = birds(requests_per_second=rate, max_concurrent=8).http
            with ThreadPoolExecutor(8) as pool:
                list(
                    pool.map(lambda number: http.request("GET", f"{service.url}/api/{number}"), range(count))
                )
            times = sorted(received.at for received in service.requests)
            assert len(times) == count
            # It is a limit, and not slowness.
            is_fast = times[-1] - times[0] < 2 * count / most
            return is_fast and all(later - at >= 1 for at, later in zip(times, times[most:], strict=False))

        assert is_kept(measure)

    def test_downloads_and_redirects_count_too(self, service: Any, birds: Make, tmp_path: Path) -> None:
        service.files["/one.mp3"] = Reply(200, samples.mp3())
        service.files["/one"] = Reply(302, headers={"Location": "/one.mp3"})

        def measure() -> bool:
            service.requests.clear()
            http = birds(requests_per_second=2).http
            http.request("GET", f"{service.url}/api")
            http.download(f"{service.url}/one", tmp_path / "one.mp3", "audio")
            first, _, third = service.requests
            return bool(third.at - first.at >= 1)

        assert is_kept(measure)

    def test_less_than_one_a_second(self, service: Any, birds: Make) -> None:
        def measure() -> bool:
            service.requests.clear()
            http = birds(requests_per_second=0.9).http
            for _ in range(2):
                http.request("GET", f"{service.url}/api")
            first, second = service.requests
            return bool(second.at - first.at >= 1 / 0.9)

        assert is_kept(measure)

    def test_each_provider_has_its_own(self, service: Any, birds: Make) -> None:
        for _ in range(3):
            birds(requests_per_second=0.01).http.request("GET", f"{service.url}/api")
        assert all(later.at - earlier.at < 30 for earlier, later in pairwise(service.requests))


class TestAtOnce:
    @pytest.mark.parametrize("most", [1, 3])
    def test_never_more_are_under_way(self, service: Any, birds: Make, most: int) -> None:
        counted = Counted()
        service.fail(counted, times=None)
        http = birds(max_concurrent=most).http
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda number: http.request("GET", f"{service.url}/api/{number}"), range(15)))
        assert counted.most == most

    def test_downloads_and_redirects_count_too(self, service: Any, birds: Make, tmp_path: Path) -> None:
        counted = Counted()
        service.files["/one.mp3"] = Reply(200, samples.mp3())
        for number in range(12):
            service.files[f"/{number}"] = Reply(302, headers={"Location": "/one.mp3"})
        service.fail(counted, times=None)
        provider = birds(max_concurrent=2)
        requests = [
            MediaRequest("audio", f"{service.url}/{number}", {}, tmp_path / f"{number}.mp3")
            for number in range(12)
        ]
        with ThreadPoolExecutor(3) as pool:
            batches = pool.map(provider.generate_batch, (requests[:4], requests[4:8], requests[8:]))
            assert all(result.success for batch in batches for result in batch)
        assert counted.most == 2

    def test_who_waits_for_another_try_takes_no_place(self, service: Any, birds: Make, waits: Any) -> None:
        provider = birds(max_concurrent=1, max_retries=1)
        http = provider.http
        service.fail(Reply(500))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(http.request, "GET", f"{service.url}/api/first")
            assert waits.begun.wait(30)
            http.request("GET", f"{service.url}/api/second")
            waiting.result(30)
        assert service.paths == ["/api/first", "/api/second", "/api/first"]
