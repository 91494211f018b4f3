"""The scoreboard: what everyone may know of a worker without asking it.

One region of shared memory, made by the master for each generation before its
template starts and handed over as a descriptor. It is an array of *slots*, one for
each living worker process, of signed 64-bit fields. A field is written by one
process only (the worker of that slot, or the master where the table says so), so no
lock is needed: aligned 64-bit stores do not tear.

Two workers with the same worker id live side by side while one replaces the other;
therefore the slot, not the worker id, is the index.

It stays readable when a worker hangs. Facts that need the worker's help go over the
control channel instead.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import Final

# Fields of a slot: written by the worker unless noted.
PID: Final = 0  # written by the worker first, set to 0 by the master at its end
WORKER_ID: Final = 1  # written by the master when it orders the fork
GENERATION: Final = 2  # master
STATUS: Final = 3  # one of the STATUS_* values
ACCEPTING: Final = 4  # 1 while the listeners are polled
HEARTBEAT_MS: Final = 5  # monotonic milliseconds of the hub's last sign of life
CONNECTIONS: Final = 6  # open connections, idle ones included
CORES_BUSY: Final = 7  # requests in flight
REQUESTS: Final = 8  # requests ended by this process
EXCEPTIONS: Final = 9  # exceptions that left the application
HARAKIRI_COUNT: Final = 10  # requests ended by harakiri
TX_BYTES: Final = 11  # bytes sent
RUNNING_TIME_US: Final = 12  # microseconds spent in requests, summed
AVG_RT_US: Final = 13  # average time of a request, microseconds
SIGNALS: Final = 14  # uwsgi signals handled
RSS: Final = 15  # bytes; 0 unless memory is watched
VSZ: Final = 16  # bytes; 0 unless memory is watched
LAST_SPAWN: Final = 17  # unix seconds, master
RESPAWN_COUNT: Final = 18  # forks of this worker id, master
DEADLINE_MS: Final = 19  # earliest deadline of a live request, monotonic ms; 0 none
HUB_BUSY_US: Final = 20  # microseconds the hub was not waiting, summed
WEBSOCKETS: Final = 21  # open upgraded connections
READ_ERRORS: Final = 22
WRITE_ERRORS: Final = 23
STATIC_REQUESTS: Final = 24
ROUTED_REQUESTS: Final = 25
OFFLOADED_REQUESTS: Final = 26
CURRENT_CORE: Final = 27  # core whose request entered the hub last, plus 1
KEPT_REQUESTS: Final = 28  # requests of this worker id's earlier lives, master
LATENCY_P50_US: Final = 29  # half of the last minute's requests took less; 0 unknown
LATENCY_P99_US: Final = 30  # 99 % of the last minute's requests took less; 0 unknown
FIELDS: Final = 40  # the rest is reserved

STATUS_IDLE: Final = 0
STATUS_BUSY: Final = 1
STATUS_CHEAP: Final = 2
STATUS_PAUSE: Final = 3

_WORD: Final = 8
_HEADER_FIELDS: Final = 8
_MAGIC: Final = 0x67657577736769  # "geuwsgi"
_VERSION: Final = 1


class ScoreboardSlot:
    """One worker's row.

    ``view`` holds the row's fields; hot paths write ``view[REQUESTS] += 1`` with the
    constants of this module.
    """

    __slots__ = ("index", "scoreboard", "view")

    def __init__(self, scoreboard: Scoreboard, index: int) -> None:
        self.scoreboard = scoreboard
        self.index = index
        self.view: memoryview[int] = scoreboard.row(index)

    def clear(self) -> None:
        """Set all fields to 0, before the slot gets its next worker."""
        self.view[:] = memoryview(bytes(FIELDS * _WORD)).cast("q")


class Scoreboard:
    """The whole region.

    Made with :meth:`create` by the master, with :meth:`attach` by whoever got the
    descriptor. ``fileno`` stays open until :meth:`close`, which only the maker has
    to call; the memory lives as long as one process maps it.
    """

    def __init__(self, fileno: int, slots: int, memory: mmap.mmap) -> None:
        self.fileno = fileno
        self.slots = slots
        self._memory = memory
        self._words: memoryview[int] = memoryview(memory).cast("q")

    @classmethod
    def create(cls, slots: int) -> Scoreboard:
        """Make a region of ``slots`` rows of zeros."""
        if slots < 1:
            raise ValueError(f"a scoreboard needs at least one slot, not {slots}")
        size = (_HEADER_FIELDS + slots * FIELDS) * _WORD
        fileno = _anonymous_file()
        os.ftruncate(fileno, size)
        memory = mmap.mmap(fileno, size)
        board = cls(fileno, slots, memory)
        board._words[0] = _MAGIC
        board._words[1] = _VERSION
        board._words[2] = slots
        return board

    @classmethod
    def attach(cls, fileno: int) -> Scoreboard:
        """Map the region behind ``fileno``.

        Raises :exc:`ValueError` if it is not a scoreboard of this version.
        """
        size = os.fstat(fileno).st_size
        if size < _HEADER_FIELDS * _WORD:
            raise ValueError(f"file descriptor {fileno} is not a scoreboard")
        memory = mmap.mmap(fileno, size)
        words = memoryview(memory).cast("q")
        magic, version, slots = words[0], words[1], words[2]
        words.release()
        expected = (_HEADER_FIELDS + slots * FIELDS) * _WORD
        if magic != _MAGIC or version != _VERSION or size != expected:
            memory.close()
            raise ValueError(f"file descriptor {fileno} is not a scoreboard")
        return cls(fileno, slots, memory)

    def row(self, index: int) -> memoryview[int]:
        """The fields of one slot, writable."""
        if not 0 <= index < self.slots:
            raise IndexError(f"slot {index} of a scoreboard of {self.slots}")
        start = _HEADER_FIELDS + index * FIELDS
        return self._words[start : start + FIELDS]

    def slot(self, index: int) -> ScoreboardSlot:
        return ScoreboardSlot(self, index)

    def rows(self) -> Iterator[memoryview[int]]:
        """The rows of the slots that hold a worker, in slot order."""
        for index in range(self.slots):
            row = self.row(index)
            if row[PID]:
                yield row

    def least_connections(self) -> int:
        """The fewest open connections any accepting worker has; 0 if none accepts.

        A worker far above it leaves new connections to its siblings for a moment.
        """
        words = self._words
        least = -1
        for start in range(_HEADER_FIELDS, len(words), FIELDS):
            if words[start + ACCEPTING]:
                connections = words[start + CONNECTIONS]
                if least < 0 or connections < least:
                    least = connections
        return max(least, 0)

    def close(self) -> None:
        """Close the descriptor. Rows in use stay valid until they are forgotten."""
        if self.fileno >= 0:
            os.close(self.fileno)
            self.fileno = -1


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("geuwsgi-scoreboard")
    import tempfile  # systems without it are few

    with tempfile.TemporaryFile(prefix="geuwsgi-scoreboard") as file:
        return os.dup(file.fileno())
