"""The greenlets that serve connections.

Connections that have something to read are not served one by one as the loop finds
them, but together, when it has found all: then one greenlet serves them one after the
other, and only when an application makes it wait does the hub take another one for
the rest. That is two switches for all of them instead of two for each (4,000 of the
27,000 instructions of a request).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from geuwsgi.server.context import ConnectionGreenlet

if TYPE_CHECKING:
    from greenlet import greenlet

    from geuwsgi.server.connection import Connection

#: Greenlets kept for the next connection. Making one costs 2 microseconds, half of
#: what a short uwsgi request takes besides its system calls.
_KEPT = 32

#: Of the greenlets that are spare after many requests ended at once, so many are given
#: up each tick: within 2 ms. The others are there for those who ask again at once. To
#: end each with its request took plain Python 27 in place of 20 microseconds a poll that
#: was woken, for the system call that unmaps its frames (benchmarks: longpoll-10k).
_GIVEN_UP_A_TICK = 256

#: After everything else that the loop has found.
_LAST_PRIORITY = -2


class Greenlets:
    """Has connections served, each by one greenlet at a time.

    ``life`` is what a greenlet runs: it serves what it takes out of ``ready`` until
    there is nothing, then tells ``keep`` and switches to the hub, which comes back with
    true for it to end.
    """

    __slots__ = ("_feed", "_hub", "_life", "_serve", "_spare", "ready")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._life: Callable[[], None] | None = None
        self._spare: list[greenlet] = []
        self.ready: deque[Connection] = deque()
        self._serve = self.serve_ready
        # A watcher that is fed is called in the same turn of the loop, after the
        # others. Of gevent's loops only libev has that.
        self._feed: Callable[..., None] | None = None
        if "libev" in type(hub.loop).__module__:
            self._feed = hub.loop.prepare(priority=_LAST_PRIORITY).feed

    def live(self, life: Callable[[], None]) -> None:
        """Set what greenlets run, before the first connection comes."""
        self._life = life

    def serve_soon(self, connection: Connection) -> None:
        """Have it served when the loop has found all that can be read. In the hub."""
        ready = self.ready
        ready.append(connection)
        if len(ready) == 1:
            if self._feed is not None:
                self._feed(0, self._serve)
            else:
                self._hub.loop.run_callback(self._serve)

    def serve_now(self, connection: Connection) -> None:
        """Have it served, and what else is ready. In the hub."""
        self.ready.appendleft(connection)
        self.serve_ready()

    def serve_ready(self) -> None:
        ready = self.ready
        spare = self._spare
        while ready:
            if spare:
                spare.pop().switch()
            else:
                ConnectionGreenlet(self._life, self._hub).switch()

    def keep(self, current: greenlet) -> None:
        """Keep ``current``, which switches to the hub next, for the next connection."""
        self._spare.append(current)

    def give_up_some(self) -> None:
        """End some of those that were kept. Called each tick, in the hub."""
        spare = self._spare
        excess = len(spare) - _KEPT
        if excess > 0:
            # Those whose memory was touched last are kept.
            given_up = spare[: min(excess, _GIVEN_UP_A_TICK)]
            del spare[: len(given_up)]
            for one in given_up:
                one.switch(True)
