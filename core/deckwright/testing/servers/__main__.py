"""Runs one of the servers until it is interrupted: `python -m deckwright.testing.servers forvo`.

Its first line of output is the `base_url` for a provider's settings, the second the key that it takes.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from deckwright.testing.servers import ForvoServer, OpenAIServer, RunwareServer

SERVERS = {"forvo": ForvoServer, "openai": OpenAIServer, "runware": RunwareServer}


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
    with SERVERS[chosen.service](port=chosen.port, latency=chosen.latency) as server:
        sys.stdout.write(f"{server.base_url}\napi_key: {server.key}\n")
        sys.stdout.flush()
        # In turns: not every system lets a signal through to a wait without an end.
        while not ended.wait(1):
            pass


if __name__ == "__main__":
    main()
