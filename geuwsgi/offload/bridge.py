"""A socket for code that wants one, where the connection is more than a socket."""

from __future__ import annotations

from typing import Protocol

import gevent
import gevent.socket

from geuwsgi.errors import Disconnected

_BLOCK = 65536


class Bytestream(Protocol):
    """The connection behind the bridge."""

    def recv(self, size: int, /) -> bytes: ...
    def send_all(self, octets: bytes | memoryview, /) -> None: ...
    def shutdown_write(self) -> None: ...
    def close(self) -> None: ...


def bridged_socket(stream: Bytestream, received: bytes = b"") -> gevent.socket.socket:
    """Return a socket whose bytes come from ``stream`` and go there.

    For TLS, whose bytes on the wire nobody else can read, and for connections of
    which some bytes were ``received`` already. Two greenlets carry them for as long
    as the connection lasts; closing either end ends the other.
    """
    near, far = gevent.socket.socketpair()
    gevent.spawn(_carry_in, stream, near, received)
    gevent.spawn(_carry_out, near, stream)
    return far


def _carry_in(stream: Bytestream, near: gevent.socket.socket, received: bytes) -> None:
    try:
        near.sendall(received)
        while received := stream.recv(_BLOCK):
            near.sendall(received)
        near.shutdown(gevent.socket.SHUT_WR)
    except (Disconnected, OSError):
        near.close()


def _carry_out(near: gevent.socket.socket, stream: Bytestream) -> None:
    try:
        while written := near.recv(_BLOCK):
            stream.send_all(written)
        stream.shutdown_write()
    except (Disconnected, OSError):
        stream.close()
    finally:
        near.close()
