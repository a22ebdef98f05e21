"""Which addresses a file may be downloaded from: public ones, and the service's own where it is a local one."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import httpx

from deckwright.errors import BadMediaError

Trace = Callable[[str, "dict[str, Any]"], None]

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
# IPv6 addresses that stand for the IPv4 address in their last four bytes.
_OF_IPV4 = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96")))
_HIGHEST_PORT = 65_535


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the internet's, not of this machine or the network around it."""
    ip = _ip(address)
    is_of_a_site = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not ip.is_multicast and not is_of_a_site


class DownloadGuard:
    """Keeps downloads to public addresses, and to those of the service itself where it is a local one.

    A service is given whatever address its user configured; the links in its answers are a stranger's. One that
    leads to a private address would have this machine fetch what only it can reach.

    Args:
        base_url: Where the service is. When all its addresses are private, these are allowed, and any other name
            for this machine when it is on this machine.
    """

    def __init__(self, base_url: str) -> None:
        self._base = httpx.URL(base_url)
        self._own: frozenset[str] | None = None

    def require(self, url: httpx.URL) -> None:
        """Make sure, before connecting, that a URL may be fetched.

        A name that cannot be found is let pass: a proxy may know it, and if there is none, connecting fails.

        Raises:
            BadMediaError: It may not.
        """
        if url.scheme not in ("", "https", self._base.scheme):
            raise BadMediaError(f"The service points to a {url.scheme}: address, which is not fetched.")
        own = self._own_addresses()
        try:
            if not (url.scheme and url.host and (url.port or 0) <= _HIGHEST_PORT):
                raise ValueError
            addresses = _addresses(url)
        except OSError:
            return
        except ValueError:  # the name too may be none
            raise BadMediaError("The service points to something that is no address.") from None
        for address in addresses:
            _require_address(url.host, address, own)

    def watching(self, url: httpx.URL) -> Trace:
        """Return an httpx `trace` extension for a request of a URL.

        It looks at whom httpx has connected to, before anything is sent: a name may have changed its address. A
        proxy, which is given the name, is nobody to look at.
        """
        host, is_direct = url.raw_host.decode("ascii"), False

        def trace(event: str, info: dict[str, Any]) -> None:
            nonlocal is_direct
            if event == "connection.connect_tcp.started":
                is_direct = info["host"] == host
            elif event == "connection.connect_tcp.complete" and is_direct:
                stream = info["return_value"]
                try:
                    _require_address(url.host, stream.get_extra_info("server_addr")[0], self._own_addresses())
                except BadMediaError:
                    stream.close()
                    raise

        return trace

    def _own_addresses(self) -> frozenset[str]:
        """Return the private addresses of the service; asked once, lest its name be given others meanwhile."""
        if self._own is None:
            try:
                found = _addresses(self._base)
            except (OSError, ValueError):
                return frozenset()
            self._own = frozenset() if any(map(is_public, found)) else frozenset(found)
        return self._own


def _require_address(host: str, address: str, own: frozenset[str]) -> None:
    if is_public(address) or address in own:
        return
    if not (_ip(address).is_loopback and any(_ip(other).is_loopback for other in own)):
        raise BadMediaError(
            f"The service points to {host}, an address on this machine or network; it is not fetched."
        )


def _addresses(url: httpx.URL) -> set[str]:
    host = url.raw_host.decode("ascii")
    return {str(found[4][0]) for found in socket.getaddrinfo(host, url.port or 0, type=socket.SOCK_STREAM)}


def _ip(address: str) -> _IPAddress:
    """Return an IP address, and that of IPv4 where one of IPv6 stands for it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if not isinstance(ip, ipaddress.IPv6Address):
        return ip
    if any(ip in network for network in _OF_IPV4):
        # The unspecified address and that of this machine are among them, and stand for themselves.
        return ip if int(ip) < 2 else ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.sixtofour or ip
