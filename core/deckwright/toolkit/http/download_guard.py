"""Decides which addresses files are downloaded from: public ones, and those of a local service."""

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
_IPV4_IN_IPV6 = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96")))
_MAX_PORT = 65_535
_NOT_AN_ADDRESS = "The service's link is not a valid address."


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the internet, not to this machine or its network."""
    ip = _parse_ip(address)
    is_site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not ip.is_multicast and not is_site_local


class DownloadGuard:
    """Allows downloads from public addresses, and from a local service itself.

    The user chooses the address of a service, but third parties write the links in its responses. A link to a private
    address could make this machine fetch what only this machine can reach.

    Args:
        base_url: The address of the service. If all its IP addresses are private, they are allowed; if it is on this
            machine, so is every other name of this machine.
    """

    def __init__(self, base_url: str) -> None:
        self._base = httpx.URL(base_url)
        self._own: frozenset[str] | None = None

    def join(self, url: httpx.URL, link: str) -> httpx.URL:
        """Return the URL of a link found at `url`, which is empty for the first link.

        A name that cannot be resolved passes: a proxy may know it, and without one connecting fails.

        Raises:
            BadMediaError: It is not a URL, or files are not downloaded from there.
        """
        try:
            target = url.join(link) if url.host else httpx.URL(link)
        except httpx.InvalidURL:
            raise BadMediaError(_NOT_AN_ADDRESS) from None
        if target.scheme not in ("", "https", self._base.scheme):
            raise BadMediaError(f"The service links to a {target.scheme}: address, which is not allowed.")
        own = self._own_addresses()
        try:
            if not (target.scheme and target.host and (target.port or 0) <= _MAX_PORT):
                raise ValueError
            addresses = _resolve(target)
        except OSError:
            return target
        except ValueError:  # the host name may be invalid too
            raise BadMediaError(_NOT_AN_ADDRESS) from None
        for address in addresses:
            _check_address(target.host, address, own)
        return target

    def trace(self, url: httpx.URL) -> Trace:
        """Return an httpx `trace` extension that checks the address to which a request for `url` connects.

        It does so before anything is sent: a name may have changed its address. A proxy, which resolves the name
        itself, is not checked.
        """
        host, is_direct = url.raw_host.decode("ascii"), False

        def trace(event: str, info: dict[str, Any]) -> None:
            nonlocal is_direct
            if event == "connection.connect_tcp.started":
                is_direct = info["host"] == host
            elif event == "connection.connect_tcp.complete" and is_direct:
                stream = info["return_value"]
                try:
                    _check_address(url.host, stream.get_extra_info("server_addr")[0], self._own_addresses())
                except BadMediaError:
                    stream.close()
                    raise

        return trace

    def _own_addresses(self) -> frozenset[str]:
        """Return the private addresses of the service; resolved once, since a name may get others later."""
        if self._own is None:
            try:
                addresses = _resolve(self._base)
            except (OSError, ValueError):
                return frozenset()
            self._own = frozenset() if any(map(is_public, addresses)) else frozenset(addresses)
        return self._own


def _check_address(host: str, address: str, own: frozenset[str]) -> None:
    if is_public(address) or address in own:
        return
    if not (_parse_ip(address).is_loopback and any(_parse_ip(other).is_loopback for other in own)):
        raise BadMediaError(
            f"The service links to {host}, an address on this machine or network, which is not allowed."
        )


def _resolve(url: httpx.URL) -> set[str]:
    host = url.raw_host.decode("ascii")
    return {str(info[4][0]) for info in socket.getaddrinfo(host, url.port or 0, type=socket.SOCK_STREAM)}


def _parse_ip(address: str) -> _IPAddress:
    """Return an IP address; for an IPv6 address that stands for an IPv4 address, the latter."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if not isinstance(ip, ipaddress.IPv6Address):
        return ip
    if any(ip in network for network in _IPV4_IN_IPV6):
        # The unspecified address and the loopback address are in these networks, but stand for themselves.
        return ip if int(ip) < 2 else ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.sixtofour or ip
