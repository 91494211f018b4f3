"""The metrics that the server has without being asked: uWSGI's names.

They are read from the scoreboard when somebody wants to know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from geuwsgi.shared import scoreboard as sb
from geuwsgi.shared.scoreboard import Scoreboard

_WORKER = re.compile(r"worker\.(\d+)\.(\w+)")
_COUNTER, _GAUGE, _ABSOLUTE, _ALIAS = range(4)
_Row: TypeAlias = "memoryview[int]"

# By name: the type, the last part of the oid, and the scoreboard's fields to add up.
_OF_A_WORKER: dict[str, tuple[int, str, tuple[int, ...]]] = {
    "requests": (_COUNTER, "1", (sb.REQUESTS, sb.KEPT_REQUESTS)),
    "delta_requests": (_ABSOLUTE, "2", (sb.REQUESTS,)),
    "failed_requests": (_COUNTER, "13", (sb.EXCEPTIONS,)),
    "respawns": (_COUNTER, "14", (sb.RESPAWN_COUNT,)),
    "avg_response_time": (_GAUGE, "8", (sb.AVG_RT_US,)),
    "total_tx": (_COUNTER, "9", (sb.TX_BYTES,)),
    "rss_size": (_GAUGE, "11", (sb.RSS,)),
    "vsz_size": (_GAUGE, "12", (sb.VSZ,)),
    "running_time": (_COUNTER, "13", (sb.RUNNING_TIME_US,)),
}
# Of the whole instance: the type, the oid, and how the rows of its workers make it.
_OF_ALL: dict[str, tuple[int, str, Callable[[Sequence[_Row]], int]]] = {
    "core.busy_workers": (_GAUGE, "5.3", lambda rows: _count_busy(rows)),
    "core.idle_workers": (_GAUGE, "5.4", lambda rows: len(rows) - _count_busy(rows)),
    "core.total_tx": (_COUNTER, "5.100", lambda rows: _sum(rows, sb.TX_BYTES)),
    "core.total_rss": (_GAUGE, "5.101", lambda rows: _sum(rows, sb.RSS)),
    "core.total_vsz": (_GAUGE, "5.102", lambda rows: _sum(rows, sb.VSZ)),
    "core.avg_response_time": (
        _GAUGE,
        "5.103",
        lambda rows: _sum(rows, sb.AVG_RT_US) // max(1, len(rows)),
    ),
    "core.total_running_time": (
        _COUNTER,
        "5.104",
        lambda rows: _sum(rows, sb.RUNNING_TIME_US),
    ),
}
# Names of old, with the type that says so.
_ALIASES = {"rss_size": "core.total_rss", "vsz_size": "core.total_vsz"}


def _sum(rows: Sequence[_Row], field: int) -> int:
    return sum(row[field] for row in rows)


def _count_busy(rows: Sequence[_Row]) -> int:
    return sum(1 for row in rows if row[sb.CORES_BUSY])


class BuiltinMetrics:
    """``workers`` is how many workers are configured.

    Worker 0 is uWSGI's name for what serves no requests: all its numbers are 0. Cores
    have none of their own.
    """

    def __init__(self, board: Scoreboard, workers: int) -> None:
        self._board = board
        self._workers = workers

    def get(self, name: str) -> int | None:
        """Return a value, None if there is no such metric."""
        match = _WORKER.fullmatch(name)
        if match is not None and match[2] in _OF_A_WORKER:
            number = int(match[1])
            if number > self._workers:
                return None
            _, _, fields = _OF_A_WORKER[match[2]]
            row = self._row(number) if number else None
            return 0 if row is None else sum(row[field] for field in fields)
        found = _OF_ALL.get(_ALIASES.get(name, name))
        return None if found is None else found[2](list(self._rows()))

    def all(self) -> Iterator[tuple[str, int, str, int]]:
        """Yield name, type, oid and value of each."""
        for number in range(self._workers + 1):
            for name, (kind, oid, _) in _OF_A_WORKER.items():
                full = f"worker.{number}.{name}"
                yield full, kind, f"3.{number}.{oid}", self.get(full) or 0
        for name, (kind, oid, _) in _OF_ALL.items():
            yield name, kind, oid, self.get(name) or 0
        for name, of in _ALIASES.items():
            yield name, _ALIAS, _OF_ALL[of][1], self.get(of) or 0

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
