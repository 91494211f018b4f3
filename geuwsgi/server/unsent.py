"""Answers that slow readers have not taken yet.

A whole answer is sent without a core, so that a slow reader keeps none. But it keeps
the answer, and memory is not without end: beyond ``_MOST_BYTES`` an answer waits on its
core again, which bounds them by the number of cores, as in other servers. Then, too,
readers that take nothing at all are given up: whoever has a slow link takes something.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geuwsgi.net.clock import Clock
    from geuwsgi.server.cores import Cores
    from geuwsgi.server.exchange import Exchange

#: Bytes of a worker's answers that may wait without a core.
_MOST_BYTES = 256 << 20

#: Bytes that are worth being asked back from the allocator.
_MUCH_BYTES = 32 << 20

#: Seconds that a reader may take nothing while others wait for its place.
_PATIENCE_S = 1.0


class Unsent:
    """The answers of a worker that wait without a core."""

    __slots__ = ("_clock", "_most", "_peak", "_waiting", "size")

    def __init__(self, clock: Clock, most: int = _MOST_BYTES) -> None:
        self._clock = clock
        self._most = most
        self._waiting: dict[Exchange, int] = {}
        self._peak = 0
        self.size = 0

    def admits(self, exchange: Exchange) -> bool:
        """Whether ``exchange``, whose reader is slow, may wait without its core."""
        size = exchange.body_bytes
        if self.size + size > self._most:
            self._drop(list(self._waiting))
            if self.size + size > self._most:
                return False
        self._waiting[exchange] = size
        self.size += size
        self._peak = max(self._peak, self.size)
        exchange.at_end(partial(self._leaves, exchange))
        return True

    def give_up(self, cores: Cores) -> None:
        """Give up readers that take nothing, if they stand in the way of others."""
        if not cores.free and self.size * 2 > self._most:
            self._drop([*self._waiting, *cores.holders.values()])

    def has_shrunk(self) -> bool:
        """Whether much was waiting and nearly all of it is gone; told once.

        The allocator may keep what it held.
        """
        if self._peak < _MUCH_BYTES or self.size > self._peak // 8:
            return False
        self._peak = self.size
        return True

    def _leaves(self, exchange: Exchange) -> None:
        self.size -= self._waiting.pop(exchange, 0)

    def _drop(self, exchanges: list[Exchange]) -> None:
        since = self._clock.now - _PATIENCE_S
        for exchange in exchanges:
            stream = exchange.stream
            # Streams of HTTP/2 have a window of their own and hold little.
            deadline = getattr(stream, "write_deadline", 0.0)
            if deadline and deadline - stream.write_timeout <= since:
                stream.expire()
                self._leaves(exchange)
