"""Tables in private memory, and with a clock that stands still."""

from __future__ import annotations

import mmap
import tempfile
from dataclasses import dataclass
from typing import Any

from geuwsgi.cache.geometry import MUTEX_AT, Geometry
from geuwsgi.cache.table import Table
from geuwsgi.shared.mutex import make_mutex


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def make_geometry(
    items: int = 8,
    *,
    blocksize: int = 64,
    blocks: int = 0,
    keysize: int = 32,
    bitmap: bool = False,
) -> Geometry:
    return Geometry.fresh(
        items=items,
        blocks=blocks or items,
        blocksize=blocksize,
        keysize=keysize,
        bitmap=bitmap,
    )


def make_table(
    geometry: Geometry | None = None,
    *,
    memory: mmap.mmap | None = None,
    fresh: bool = True,
    **options: Any,
) -> Table:
    """Return a table in memory of its own, or in a copy somebody else made."""
    geometry = geometry or make_geometry()
    if memory is None:
        memory = mmap.mmap(-1, geometry.size)
    with tempfile.TemporaryFile() as file:  # only for the kind of lock without ctypes
        mutex = make_mutex(memory, MUTEX_AT, fd=file.fileno(), fresh=True)
    options.setdefault("clock", Clock())
    return Table(memory, geometry, mutex, fresh=fresh, **options)


def copy_table(table: Table, **options: Any) -> Table:
    """Return a table over a copy of another one's memory, as a new process sees it."""
    memory = mmap.mmap(-1, table.geometry.size)
    memory[:] = table._memory[:]
    options.setdefault("clock", table._clock)
    options.setdefault("purge_lru", table.purge_lru)
    return make_table(table.geometry, memory=memory, fresh=False, **options)
