"""How many connections a worker has, in all and of one address.

Limits against peers that open connections and do nothing with them. They are off
unless asked for: then nothing here is in the way of a connection.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.net.server import Accepted
    from geuwsgi.server.connection import Connection

_TOO_MANY = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 21\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    b"too many connections\n"
)
#: Refused connections that wait for the peer to read the answer.
_MOST_REFUSED = 64
_REFUSED_FOR_S = 1.0


class Crowd:
    """Counts connections; 0 is no limit.

    ``full`` is called when there are ``most``, ``room`` when there are fewer again.
    ``report`` is told of addresses that have too many, each once until it has fewer.
    """

    __slots__ = (
        "_addresses",
        "_count",
        "_full",
        "_most",
        "_most_per_address",
        "_of_address",
        "_report",
        "_reported",
        "_room",
    )

    def __init__(
        self,
        most: int,
        most_per_address: int,
        *,
        full: Callable[[], None],
        room: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._full = full
        self._room = room
        self._report = report
        self._count = 0
        self._of_address: dict[str, int] = {}
        self._addresses: dict[Connection, str] = {}
        self._reported: set[str] = set()

    @property
    def is_full(self) -> bool:
        return 0 < self._most <= self._count

    def has_room_for(self, address: str) -> bool:
        """Whether one more connection of ``address`` may come."""
        if not self._most_per_address:
            return True
        if self._of_address.get(address, 0) < self._most_per_address:
            return True
        if address not in self._reported:
            self._reported.add(address)
            self._report(
                f"{address} has {self._most_per_address} connections, the most that "
                "one address may have: more are refused"
            )
        return False

    def joins(self, connection: Connection, address: str) -> None:
        """Count ``connection``; ``address`` is empty where it says nothing."""
        self._count += 1
        if address and self._most_per_address:
            self._addresses[connection] = address
            self._of_address[address] = self._of_address.get(address, 0) + 1
        if self._count == self._most:
            self._full()

    def leaves(self, connection: Connection) -> None:
        """Forget ``connection``, which has joined."""
        self._count -= 1
        address = self._addresses.pop(connection, None)
        if address is not None:
            left = self._of_address[address] - 1
            if left:
                self._of_address[address] = left
            else:
                del self._of_address[address]
            self._reported.discard(address)
        if self._count == self._most - 1:
            self._room()


class Refusals:
    """Connections that were told to come back later, until the peer has read it.

    Closed at once, with a request in the socket that nobody reads, they would be reset,
    and the reset eats the answer. They have no greenlet and no watcher, and there are
    never many: who is refused faster than that sees a reset after all.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Accepted]] = deque()

    def refuse(self, sock: Accepted, now: float) -> None:
        """Answer 429 on ``sock``, which is closed later."""
        with contextlib.suppress(OSError):
            sock.send(_TOO_MANY)
            sock.shutdown(socket.SHUT_WR)
        if len(self._waiting) >= _MOST_REFUSED:
            self._close_first()
        self._waiting.append((now + _REFUSED_FOR_S, sock))

    def close_until(self, now: float) -> None:
        """Close those that had their time."""
        while self._waiting and self._waiting[0][0] <= now:
            self._close_first()

    def _close_first(self) -> None:
        _, sock = self._waiting.popleft()
        with contextlib.suppress(OSError):
            sock.recv(65536)  # the request: then the end is no reset
        sock.close()
