"""Which addresses a file may be downloaded from: public ones, and the service's own."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from deckwright.errors import BadMediaError, TransientError


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the internet's, not of this machine or the network around it."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    return ip.is_global and not ip.is_multicast


class DownloadGuard:
    """Keeps downloads to public addresses, and to those of the service itself.

    A service is given whatever address its user configured; the links in its answers are a stranger's. One that
    leads to a private address would have this machine fetch what only it can reach.

    Args:
        base_url: Where the service is. Its own addresses are allowed, be they private.
    """

    def __init__(self, base_url: str) -> None:
        self._base = urlsplit(base_url)

    def require(self, url: str) -> None:
        """Make sure, before connecting, that a URL may be fetched.

        Raises:
            BadMediaError: It may not.
            TransientError: Its host cannot be found.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 0
        except ValueError:
            host, port = None, 0
        if not host:
            raise BadMediaError("The service points to something that is no address.")
        if parts.scheme != "https" and parts.scheme != self._base.scheme:
            raise BadMediaError(f"The service points to a {parts.scheme}: address, which is not fetched.")
        try:
            addresses = _addresses(host, port)
        except OSError as error:
            if getproxies():  # which look names up themselves
                return
            raise TransientError(f"{host} cannot be found ({error.strerror or error}).") from None
        for address in addresses:
            self._require_address(host, address)

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Look at whom httpx has connected to, before it sends anything: a name may have changed its address.

        An httpx `trace` extension, which is called at every step of a request.
        """
        if event == "connection.connect_tcp.complete" and not getproxies():
            stream = info["return_value"]
            address = stream.get_extra_info("server_addr")[0]
            try:
                self._require_address(address, address)
            except BadMediaError:
                stream.close()
                raise

    def _require_address(self, host: str, address: str) -> None:
        if not is_public(address) and address not in self._own_addresses():
            raise BadMediaError(
                f"The service points to {host}, an address on this machine or network; it is not fetched."
            )

    def _own_addresses(self) -> set[str]:
        try:
            return _addresses(self._base.hostname or "", self._base.port or 0)
        except OSError:
            return set()


def _addresses(host: str, port: int) -> set[str]:
    return {str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
