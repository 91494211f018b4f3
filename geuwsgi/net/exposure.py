"""Sockets that strangers can reach and that trust whoever speaks to them.

uwsgi, SCGI and FastCGI let the peer say who the client is. That is right for a front
server of the same site, and for nobody else.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.net.listener import Listener

_TRUSTING = ("uwsgi", "scgi", "fastcgi", "fastrouter")


def exposure_warnings(listeners: Iterable[Listener]) -> list[str]:
    """Return a line for each listener that trusts peers and has a public address.

    The address of all interfaces counts as public; loopback and private ones do not.
    """
    return [
        f"*** WARNING: the {listener.protocol} socket {listener.name} can be reached "
        "from other machines and trusts what they say: bind it to a private address "
        "or a unix socket, or keep it behind a firewall ***"
        for listener in listeners
        if listener.protocol.startswith(_TRUSTING) and is_public(listener.socket)
    ]


def is_public(listening: socket.socket) -> bool:
    """Whether strangers may reach the socket, as far as its address tells."""
    if listening.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    host = ipaddress.ip_address(listening.getsockname()[0].partition("%")[0])
    return host.is_unspecified or host.is_global
