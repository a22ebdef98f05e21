"""Runs one of the servers until it is interrupted: `python -m deckwright.testing.servers forvo`.

Its first line of output is the `base_url` for a provider's settings, the second the key that it takes, if it
takes one.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from deckwright.testing.servers import ForvoServer, LocalServer, OpenAIServer, RunwareServer
from deckwright.testing.servers.anki import AnkiServer

SERVERS: dict[str, type[LocalServer]] = {
    "anki": AnkiServer,
    "forvo": ForvoServer,
    "openai": OpenAIServer,
    "runware": RunwareServer,
}


def main(arguments: list[str] | None = None) -> None:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser(
        prog="python -m deckwright.testing.servers", description="Run a stand-in for an online service."
    )
    parser.add_argument("service", choices=SERVERS)
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any free port)")
    parser.add_argument("--latency", type=float, default=0, help="seconds before each reply (default: 0)")
    chosen = parser.parse_args(arguments)

    ended = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: ended.set())
    server = SERVERS[chosen.service](port=chosen.port)
    server.latency = chosen.latency
    with server:
        sys.stdout.write(f"{server.base_url}\n")
        if key := getattr(server, "key", None):
            sys.stdout.write(f"api_key: {key}\n")
        sys.stdout.flush()
        # In turns: not every system lets a signal through to a wait without an end.
        while not ended.wait(1):
            pass


if __name__ == "__main__":
    main()
