"""Online services: how close a client comes to the speed that the service and the settings allow."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import tomli
from measure import PART, Figure, from_times, seconds

from deckwright.toolkit.http import HttpProvider, HttpSettings

REQUESTS = 1_000 // PART
AT_ONCE = 16
LATENCY = 0.1
TRIES = 3


@contextmanager
def server(latency: float) -> Iterator[tuple[str, str]]:
    """Start a service in a process of its own; yield its address and key."""
    command = [sys.executable, "-m", "deckwright.testing.servers", "openai", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            settings = tomli.loads("".join(iter(process.stdout.readline, "\n")))["providers"]["image"][
                "openai"
            ]
            yield settings["base_url"], settings["api_key"]
        finally:
            process.terminate()


class Client(HttpProvider):
    """A provider that has only a client."""

    config_class = HttpSettings

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        super().__init__({"max_concurrent": AT_ONCE, "max_retries": 0})

    @property
    def base_url(self) -> str:
        return self._url

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}"}

    def send_requests(self) -> None:
        url = f"{self.base_url}/models/gpt-image-2"
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for response in pool.map(lambda _: self.http.request("GET", url), range(REQUESTS)):
                assert response.json()["id"] == "gpt-image-2"


def figures() -> Iterator[Figure]:
    best = math.inf
    with server(LATENCY) as (url, key):
        for _ in range(TRIES):
            with closing(Client(url, key)) as client:
                best = min(best, seconds(client.send_requests))
    yield from_times(
        f"{REQUESTS:,} requests of a service that takes {LATENCY * 1e3:g} ms, {AT_ONCE} at once"
        f" / ceil({REQUESTS:,} / {AT_ONCE}) x {LATENCY * 1e3:g} ms",
        best,
        math.ceil(REQUESTS / AT_ONCE) * LATENCY,
        1.15,
    )
