"""Which uwsgi signals exist, whom they go to, and when they are raised.

One region for each generation, written by the processes that register signals (the
template mostly) and read by everyone who raises one and by the master, which raises
those of timers, crons and watched files. What a signal *does* is a function of the
application and lives in its processes only.

Entries are only ever added. An entry is written before its count, so readers need no
lock; writers hold the mutex.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geuwsgi.shared.mutex import Wait, make_mutex
from geuwsgi.shared.region import Region

SIGNALS = 256
LONGEST_TARGET = 63
MOST_TIMERS = MOST_RB_TIMERS = MOST_CRONS = MOST_FILES = 64
LONGEST_PATH = 4095

_MUTEX_AT = 0
_COUNTS_AT = 64
_TARGETS_AT = 128
_TARGET_SIZE = LONGEST_TARGET + 1
_TIMER = struct.Struct("qqq")  # signal, milliseconds, iterations (0: for ever)
_CRON = struct.Struct("6q")  # signal, minute, hour, day, month, weekday
_FILE = struct.Struct(f"qq{LONGEST_PATH + 1}s")  # signal, length, path


@dataclass(frozen=True)
class Timer:
    """Raise ``signal`` every ``interval_ms``, ``iterations`` times or, 0, for ever."""

    signal: int
    interval_ms: int
    iterations: int = 0


@dataclass(frozen=True)
class Cron:
    """Raise ``signal`` at times; -1 is always, -N every N."""

    signal: int
    minute: int
    hour: int
    day: int
    month: int
    weekday: int


@dataclass(frozen=True)
class WatchedFile:
    """Raise ``signal`` when something happens to ``path``."""

    signal: int
    path: bytes


class _Section:
    """An array of records of one kind, and where its count stands."""

    def __init__(self, at: int, record: struct.Struct, most: int, count: int) -> None:
        self.at = at
        self.record = record
        self.most = most
        self.count = count  # the index of the count among the counts
        self.end = at + record.size * most


_TIMERS = _Section(_TARGETS_AT + SIGNALS * _TARGET_SIZE, _TIMER, MOST_TIMERS, 0)
_RB_TIMERS = _Section(_TIMERS.end, _TIMER, MOST_RB_TIMERS, 1)
_CRONS = _Section(_RB_TIMERS.end, _CRON, MOST_CRONS, 2)
_FILES = _Section(_CRONS.end, _FILE, MOST_FILES, 3)


class TableFull(Exception):
    """There are as many timers, crons or watched files as there can be."""


class SignalTable:
    """See the module's text."""

    def __init__(self, region: Region, *, fresh: bool) -> None:
        self.region = region
        self.mutex = make_mutex(region.memory, _MUTEX_AT, fd=region.fd, fresh=fresh)
        self._memory = region.memory
        self._counts = memoryview(region.memory)[_COUNTS_AT:_TARGETS_AT].cast("q")

    @classmethod
    def create(cls) -> SignalTable:
        return cls(Region.create("signals", _FILES.end), fresh=True)

    def descriptors(self) -> list[int]:
        return [self.region.fd]

    def to_wire(self) -> dict[str, Any]:
        return {"region": self.region.to_wire()}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> SignalTable:
        return cls(Region.from_wire(wire["region"]), fresh=False)

    def enter_process(self, wait: Wait) -> None:
        self.mutex.wait = wait

    def close(self) -> None:
        self._counts.release()
        self.region.close()

    def register(self, signal: int, target: bytes) -> None:
        """Say whom a signal goes to. Raises ValueError if the name is too long."""
        if len(target) > LONGEST_TARGET or b"\0" in target:
            raise ValueError(f"the target of a signal is too long: {target!r}")
        at = _TARGETS_AT + signal * _TARGET_SIZE
        record = b"\1" + target.ljust(LONGEST_TARGET, b"\0")
        self.mutex.call(self._memory.__setitem__, slice(at, at + _TARGET_SIZE), record)

    def target(self, signal: int) -> bytes | None:
        """Return whom a signal goes to, None if it was not registered."""
        at = _TARGETS_AT + signal * _TARGET_SIZE
        record = self._memory[at : at + _TARGET_SIZE]
        return record[1:].rstrip(b"\0") if record[0] else None

    def add_timer(self, timer: Timer, *, rb: bool = False) -> None:
        """Add a timer, to the other 64 with ``rb``. Raises TableFull."""
        section = _RB_TIMERS if rb else _TIMERS
        self._add(section, timer.signal, timer.interval_ms, timer.iterations)

    def add_cron(self, cron: Cron) -> None:
        """Add a cron. Raises TableFull."""
        self._add(
            _CRONS,
            cron.signal,
            cron.minute,
            cron.hour,
            cron.day,
            cron.month,
            cron.weekday,
        )

    def add_file(self, file: WatchedFile) -> None:
        """Add a file to watch. Raises TableFull, or ValueError for a long path."""
        if len(file.path) > LONGEST_PATH:
            raise ValueError(f"a path of {len(file.path)} bytes is too long")
        self._add(_FILES, file.signal, len(file.path), file.path)

    def timers(self) -> list[Timer]:
        """Return all timers in the order they came, then all of the other kind.

        As entries are only added, the n-th of each kind stays the same one.
        """
        return [Timer(*values) for values in self._entries(_TIMERS)]

    def rb_timers(self) -> list[Timer]:
        return [Timer(*values) for values in self._entries(_RB_TIMERS)]

    def crons(self) -> list[Cron]:
        return [Cron(*values) for values in self._entries(_CRONS)]

    def files(self) -> list[WatchedFile]:
        return [
            WatchedFile(signal, path[:length])
            for signal, length, path in self._entries(_FILES)
        ]

    def entry_count(self) -> int:
        """Return how many entries there are: a new number means new entries."""
        return sum(self._counts[section] for section in range(4))

    def _entries(self, section: _Section) -> list[tuple[Any, ...]]:
        count = min(self._counts[section.count], section.most)
        end = section.at + count * section.record.size
        return list(section.record.iter_unpack(self._memory[section.at : end]))

    def _add(self, section: _Section, *values: Any) -> None:
        self.mutex.call(self._append, section, values)

    def _append(self, section: _Section, values: tuple[Any, ...]) -> None:
        count = self._counts[section.count]
        if count >= section.most:
            raise TableFull(f"there are {count} already")
        at = section.at + count * section.record.size
        section.record.pack_into(self._memory, at, *values)
        self._counts[section.count] = count + 1
