"""Sockets on which the master takes datagrams."""

from __future__ import annotations

import socket

from geuwsgi.errors import StartupError
from geuwsgi.net.address import TcpAddress, parse_address


def bind_datagrams(text: str, option: str) -> socket.socket:
    """Return a UDP socket on ``host:port`` that never blocks.

    Raises StartupError, which names ``option``, or ConfigError.
    """
    address = parse_address(text)
    if not isinstance(address, TcpAddress):
        raise StartupError(f"{option}: the address is host:port, not {text!r}")
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind((address.host, address.port))
    except OSError as exc:
        sock.close()
        raise StartupError(f"{option}: cannot bind {text}: {exc}") from exc
    return sock
