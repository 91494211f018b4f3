"""The metrics that the server has without being asked: uWSGI's names.

They are read from the scoreboard when somebody wants to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from geuwsgi.shared import scoreboard as sb
from geuwsgi.shared.scoreboard import Scoreboard

_WORKER = re.compile(r"worker\.(\d+)\.(\w+)")
_COUNTER, _GAUGE = 0, 1

# By name: the type, the last part of the oid, and the scoreboard's fields to add up.
_OF_A_WORKER: dict[str, tuple[int, str, tuple[int, ...]]] = {
    "requests": (_COUNTER, "1", (sb.REQUESTS, sb.KEPT_REQUESTS)),
    "delta_requests": (2, "2", (sb.REQUESTS,)),
    "failed_requests": (_COUNTER, "13", (sb.EXCEPTIONS,)),
    "respawns": (_COUNTER, "3", (sb.RESPAWN_COUNT,)),
    "avg_response_time": (_GAUGE, "8", (sb.AVG_RT_US,)),
    "total_tx": (_COUNTER, "9", (sb.TX_BYTES,)),
    "rss_size": (_GAUGE, "11", (sb.RSS,)),
    "vsz_size": (_GAUGE, "12", (sb.VSZ,)),
    "running_time": (_COUNTER, "14", (sb.RUNNING_TIME_US,)),
}
_OF_ALL = {"core.busy_workers": "5.3", "core.idle_workers": "5.4"}


class BuiltinMetrics:
    """``workers`` is how many workers are configured."""

    def __init__(self, board: Scoreboard, workers: int) -> None:
        self._board = board
        self._workers = workers

    def get(self, name: str) -> int | None:
        """Return a value, None if there is no such metric."""
        match = _WORKER.fullmatch(name)
        if match is not None and match[2] in _OF_A_WORKER:
            number = int(match[1])
            if not 0 < number <= self._workers:
                return None
            _, _, fields = _OF_A_WORKER[match[2]]
            row = self._row(number)
            return 0 if row is None else sum(row[field] for field in fields)
        if name in _OF_ALL:
            busy = sum(1 for row in self._rows() if row[sb.CORES_BUSY])
            idle = sum(1 for row in self._rows() if not row[sb.CORES_BUSY])
            return busy if name == "core.busy_workers" else idle
        return None

    def all(self) -> Iterator[tuple[str, int, str, int]]:
        """Yield name, type, oid and value of each."""
        for number in range(1, self._workers + 1):
            for name, (kind, oid, _) in _OF_A_WORKER.items():
                full = f"worker.{number}.{name}"
                yield full, kind, f"3.{number}.{oid}", self.get(full) or 0
        for name, oid in _OF_ALL.items():
            yield name, _GAUGE, oid, self.get(name) or 0

    def _rows(self) -> Iterator[memoryview[int]]:
        return (row for row in self._board.rows() if row[sb.WORKER_ID])

    def _row(self, number: int) -> memoryview[int] | None:
        found = None
        for row in self._rows():
            if row[sb.WORKER_ID] == number and (
                found is None or row[sb.LAST_SPAWN] >= found[sb.LAST_SPAWN]
            ):
                found = row
        return found
