"""The time, read once a tick instead of once a request.

Deadlines need no better resolution than the tick that looks at them, so everything
that sets one takes the time from here: an attribute, not a system call. The clock is
monotonic; only the text of the Date field follows the wall clock.
"""

from __future__ import annotations

import time

from geuwsgi.protocol.dates import format_http_date


class Clock:
    """``now`` is monotonic seconds; ``date_line`` a rendered Date field line.

    ``date_end`` is the same with the empty line that ends a head.

    ``wall_offset`` added to a monotonic time gives seconds since 1970.

    Whoever owns the clock calls ``tick`` several times a second.
    """

    __slots__ = ("_second", "date_end", "date_line", "now", "wall_offset")

    def __init__(self) -> None:
        self.now = 0.0
        self.date_line = b""
        self.date_end = b""
        self.wall_offset = 0.0
        self._second = 0
        self.tick()

    def tick(self) -> None:
        self.now = time.monotonic()
        wall = time.time()
        self.wall_offset = wall - self.now
        second = int(wall)
        if second != self._second:
            self._second = second
            self.date_line = f"Date: {format_http_date(second)}\r\n".encode()
            self.date_end = self.date_line + b"\r\n"
