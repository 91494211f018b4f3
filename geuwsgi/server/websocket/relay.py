"""A plain socket for a connection that is not one.

Whoever takes a connection over wants a descriptor that can be read, waited for and
closed. Inside TLS, or when bytes of the client have been read already, the connection's
own is none. Then one end of a socket pair is handed out, and two greenlets carry the
bytes.
"""

from __future__ import annotations

import _socket
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import gevent

from geuwsgi.errors import Disconnected
from geuwsgi.net.stream import Stream

if TYPE_CHECKING:
    from gevent import Greenlet

_BLOCK = 65536


class Relay:
    """Carries bytes between ``stream`` and ``plain``, whose duplicate is handed out.

    ``received`` is what was read of the client before. ``end`` must be called once
    the application is done with the connection; it does not close ``stream``.
    """

    __slots__ = ("_carriers", "_inner", "_stream", "plain")

    def __init__(self, stream: Stream, received: bytes, hub: Any) -> None:
        inner, self.plain = _socket.socketpair()
        inner.setblocking(False)
        self.plain.setblocking(False)
        self._stream = stream
        self._inner = Stream(inner, hub)
        self._carriers: list[Greenlet[..., None]] = [
            gevent.spawn(self._carry_out),
            gevent.spawn(self._carry_in, received),
        ]

    def _carry_in(self, received: bytes) -> None:
        with contextlib.suppress(Disconnected):
            self._inner.send_all(received)
            while received := self._stream.recv(_BLOCK):
                self._inner.send_all(received)
        self._inner.shutdown_write()

    def _carry_out(self) -> None:
        with contextlib.suppress(Disconnected):
            while written := self._inner.recv(_BLOCK):
                self._stream.send_all(written)
        self._stream.shutdown_write()

    def end(self, seconds: float) -> None:
        """Send what was written, and wait ``seconds`` at most for the client's end."""
        # Also where the duplicate was closed: this is the same end of the pair.
        with contextlib.suppress(OSError):
            self.plain.shutdown(socket.SHUT_WR)
        gevent.joinall(self._carriers, timeout=seconds)
        gevent.killall(self._carriers)
        self._inner.close()
        self.plain.close()
