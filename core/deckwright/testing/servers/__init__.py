"""Local servers that imitate online services, and fail on demand.

Use them to test a provider without an account, a key or a network:

    from deckwright.testing.servers import ForvoServer, forvo

    with ForvoServer(quota=1) as server:
        provider = MyProvider({"api_key": server.key, "base_url": server.base_url})
        server.fail(forvo.TOO_MANY_REQUESTS)
        ...
        assert server.used == 1

Each server records the requests that it receives in `requests`. `faults` has the errors that any server can have;
the module of each service has the errors that this service reports. To try one by hand, run
`python -m deckwright.testing.servers forvo` (or `openai`, `runware`).
"""

from deckwright.testing.servers.base import Exchange, Fault, LocalServer, Received, Reply
from deckwright.testing.servers.faults import (
    Dropped,
    GzipBomb,
    HtmlPage,
    LostReply,
    Oversized,
    Redirect,
    Slow,
    Truncated,
)
from deckwright.testing.servers.forvo import ForvoServer
from deckwright.testing.servers.openai import OpenAIServer
from deckwright.testing.servers.runware import RunwareServer

__all__ = [
    "Dropped",
    "Exchange",
    "Fault",
    "ForvoServer",
    "GzipBomb",
    "HtmlPage",
    "LocalServer",
    "LostReply",
    "OpenAIServer",
    "Oversized",
    "Received",
    "Redirect",
    "Reply",
    "RunwareServer",
    "Slow",
    "Truncated",
]
