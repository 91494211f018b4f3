"""Cores: how many requests a worker has in flight at once (uWSGI: gevent).

A core is a number, nothing more. uWSGI hands them out from the highest, so do we:
log lines and statistics show it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet


class Cores:
    """``count`` cores and the requests that hold them.

    ``holders`` maps a core to what was given to ``take``, ``served`` counts how often
    each was given back. ``exhausted`` is called when the last core is taken, ``available``
    when there is one again.
    """

    __slots__ = (
        "_available",
        "_exhausted",
        "_hub",
        "_waiting",
        "count",
        "free",
        "holders",
        "served",
    )

    def __init__(
        self,
        count: int,
        hub: Any,
        *,
        exhausted: Callable[[], None],
        available: Callable[[], None],
    ) -> None:
        self.count = count
        self.free = list(range(count))
        self.holders: dict[int, Any] = {}
        self.served = [0] * count
        self._hub = hub
        self._exhausted = exhausted
        self._available = available
        self._waiting: deque[greenlet] = deque()

    def take(self, holder: Any) -> int:
        """Return a core; parks the greenlet until there is one, first come first."""
        free = self.free
        if not free:
            return self._wait(holder)
        core = free.pop()
        self.holders[core] = holder
        if not free:
            self._exhausted()
        return core

    def _wait(self, holder: Any) -> int:
        current = getcurrent()
        self._waiting.append(current)
        try:
            core = greenlet.switch(self._hub)
        except BaseException:
            if current in self._waiting:
                self._waiting.remove(current)
            raise
        assert type(core) is int
        self.holders[core] = holder
        return core

    def give(self, core: int) -> None:
        """Take ``core`` back; the request that waits longest gets it."""
        self.served[core] += 1
        self.lend(core)

    def lend(self, core: int) -> None:
        """As ``give``, for a request that goes on later, perhaps on another core."""
        del self.holders[core]
        if self._waiting:
            self._hub.loop.run_callback(self._hand_over, core)
        else:
            self.free.append(core)
            if len(self.free) == 1:
                self._available()

    def _hand_over(self, core: int) -> None:
        # In the hub: the one who waited may have been killed since.
        if self._waiting:
            self._waiting.popleft().switch(core)
        else:
            self.free.append(core)
            if len(self.free) == 1:
                self._available()

    @property
    def busy(self) -> int:
        """How many cores are taken."""
        return len(self.holders)

    @property
    def waiting(self) -> int:
        """How many requests wait for a core."""
        return len(self._waiting)
