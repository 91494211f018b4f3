"""The system calls of a stream and the switches of its greenlets.

``socketcalls.pyx`` is the same class in C, for where it is compiled: there recv(2) and
send(2) are called without the socket object between, which takes a third of the time
that a request spends outside of the kernel (benchmarks: http-12). Both are kept so
small that they can be compared by looking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    import _socket

__all__ = ["PlainSocket", "SocketCalls"]

try:
    from geuwsgi.net._plain import PlainSocket
except ImportError:
    PlainSocket = ()  # type: ignore[assignment,misc] # what isinstance() never finds


class SocketCalls:
    """What a stream does with its socket, and with the ``hub`` while it waits.

    ``sock`` is a ``_socket.socket`` or a ``PlainSocket``; it never blocks, and nobody
    else closes it.
    """

    __slots__ = ("_fd", "_hub", "_sock")

    def __init__(self, sock: _socket.socket | PlainSocket, hub: Any) -> None:
        self._sock: _socket.socket | PlainSocket = sock
        self._fd = sock.fileno()
        self._hub = hub

    def _receive(self, size: int) -> bytes | None:
        """Return at most ``size`` bytes, b"" at the end, None if nothing is there.

        Raises OSError.
        """
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            return None

    def _transmit(self, octets: bytes | memoryview, flags: int) -> int:
        """Return how many of the bytes the kernel has taken, perhaps none.

        Raises OSError.
        """
        try:
            return self._sock.send(octets, flags)
        except BlockingIOError:
            return 0

    def _transmit_both(self, first: bytes, second: bytes | memoryview) -> int:
        """As ``_transmit`` for two pieces."""
        try:
            return self._sock.sendmsg((first, second))  # type: ignore[union-attr]
        except BlockingIOError:
            return 0

    def _current(self) -> greenlet:
        return getcurrent()

    def _switch_to_hub(self) -> None:
        # greenlet.switch, not Hub.switch: the latter looks for hooks that no greenlet
        # here has.
        greenlet.switch(self._hub)

    def _switch_to(self, waiting: greenlet) -> None:
        waiting.switch()

    def _close_socket(self) -> None:
        self._fd = -1
        self._sock.close()
