"""Runs one of the servers until it is interrupted: `python -m deckwright.testing.servers forvo`.

It prints the configuration to use it, in TOML, and then an empty line.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from deckwright.testing.servers import ForvoServer, LocalServer, OpenAIServer, RunwareServer

# For each provider: its type, its server, and the setting for the address.
SERVERS: dict[str, tuple[str, type[LocalServer], str]] = {
    "forvo": ("audio", ForvoServer, "base_url"),
    "openai": ("image", OpenAIServer, "base_url"),
    "runware": ("image", RunwareServer, "base_url"),
}


def main(arguments: list[str] | None = None) -> None:
    """Serve until the process is interrupted."""
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
    type, server_class, address = SERVERS[chosen.service]
    server = server_class(port=chosen.port)
    server.latency = chosen.latency
    with server:
        lines = [
            f"[providers.{type}.{chosen.service}]",
            'pipelines = ["*"]',
            f'{address} = "{server.base_url}"',
        ]
        if key := getattr(server, "key", None):
            lines.append(f'api_key = "{key}"')
        sys.stdout.write("\n".join([*lines, "", ""]))
        sys.stdout.flush()
        # In steps: on some systems, a wait without a timeout cannot be interrupted.
        while not ended.wait(1):
            pass


if __name__ == "__main__":
    main()
