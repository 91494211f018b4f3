"""Memory that applications lay out themselves (uWSGI: ``sharedarea``).

An area is some pages of anonymous memory, or of a file or a descriptor. Reading and
writing takes no lock, as in uWSGI; adding to a number does. Numbers are signed,
in the machine's byte order.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.shared.keyval import parse_keyval
from geuwsgi.shared.mutex import MUTEX_SIZE, Wait, make_mutex
from geuwsgi.shared.recordlocks import RecordLocks
from geuwsgi.shared.region import PAGE_SIZE, Region, reserve

_FORMATS = {1: struct.Struct("b"), 2: struct.Struct("h"), 4: struct.Struct("i")}
_FORMATS[8] = struct.Struct("q")


class SharedArea:
    """``memory`` is the writable view that ``sharedarea_memoryview`` returns.

    Positions outside the area raise IndexError; numbers are cut to their width.
    """

    def __init__(
        self,
        memory: memoryview,
        region: Region,
        *,
        offset: int = 0,
        is_bytearray: bool = False,
    ) -> None:
        self.memory = memory
        self.region = region
        self.offset = offset
        self.is_bytearray = is_bytearray

    def read(self, position: int, length: int) -> bytes:
        """Return bytes; all from ``position`` on for length 0."""
        if not length:
            length = max(1, len(self.memory) - position)
        self._check(position, length)
        return bytes(self.memory[position : position + length])

    def write(self, position: int, octets: bytes) -> None:
        self._check(position, len(octets))
        self.memory[position : position + len(octets)] = octets

    def read_number(self, position: int, width: int) -> int:
        self._check(position, width)
        return int(_FORMATS[width].unpack_from(self.memory, position)[0])

    def write_number(self, position: int, width: int, number: int) -> None:
        self._check(position, width)
        half = 1 << (8 * width - 1)
        wrapped = (number + half) % (2 * half) - half
        _FORMATS[width].pack_into(self.memory, position, wrapped)

    def add(self, position: int, width: int, amount: int) -> None:
        """Add to a number. The caller holds the areas' mutex."""
        self.write_number(position, width, self.read_number(position, width) + amount)

    def _check(self, position: int, length: int) -> None:
        if position < 0 or position + length > len(self.memory):
            raise IndexError(
                f"{length} bytes at {position} are outside an area of"
                f" {len(self.memory)} bytes"
            )


class SharedAreas:
    """All areas by number, their mutex, and the locks that applications hold."""

    def __init__(
        self, areas: list[SharedArea], control: Region, locks: RecordLocks, fresh: bool
    ) -> None:
        self.areas = areas
        #: The lines they were made of; empty in a process that only mapped them.
        self.lines: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self.locks = locks
        self._control = control
        self.mutex = make_mutex(control.memory, 0, fd=control.fd, fresh=fresh)
        self._updates = memoryview(control.memory)[MUTEX_SIZE:].cast("q")

    @classmethod
    def create(
        cls, areas: Sequence[str], bytearrays: Sequence[str] = ()
    ) -> SharedAreas:
        """Make the areas of ``sharedarea`` and, behind them, ``py-sharedarea`` lines.

        Raises ConfigError for a line that says nothing sensible, StartupError for a
        file that cannot be mapped.
        """
        made = [_make(text) for text in areas]
        for text in bytearrays:
            if not text.isdigit() or not int(text):
                raise ConfigError(f"py-sharedarea: {text!r} is no number of bytes")
            region = Region.create("area", int(text))
            view = memoryview(region.memory)[: int(text)]
            made.append(SharedArea(view, region, is_bytearray=True))
        control = Region.create("areas", MUTEX_SIZE + 8 * max(1, len(made)))
        locks = RecordLocks.create("area-locks", len(made))
        shared = cls(made, control, locks, fresh=True)
        shared.lines = (tuple(areas), tuple(bytearrays))
        return shared

    def descriptors(self) -> list[int]:
        fds = [area.region.fd for area in self.areas]
        return [*fds, self._control.fd, *self.locks.descriptors()]

    def to_wire(self) -> dict[str, Any]:
        return {
            "areas": [
                {
                    "region": area.region.to_wire(),
                    "offset": area.offset,
                    "length": len(area.memory),
                    "is_bytearray": area.is_bytearray,
                }
                for area in self.areas
            ],
            "control": self._control.to_wire(),
            "locks": self.locks.to_wire(),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> SharedAreas:
        areas = []
        for entry in wire["areas"]:
            region = Region.from_wire(entry["region"])
            offset, length = int(entry["offset"]), int(entry["length"])
            areas.append(
                SharedArea(
                    memoryview(region.memory)[offset : offset + length],
                    region,
                    offset=offset,
                    is_bytearray=bool(entry["is_bytearray"]),
                )
            )
        return cls(
            areas,
            Region.from_wire(wire["control"]),
            RecordLocks.from_wire(wire["locks"]),
            fresh=False,
        )

    def enter_process(self, wait: Wait) -> None:
        self.mutex.wait = wait

    def announce_update(self, number: int) -> None:
        """Count one more update of an area. The caller holds the mutex."""
        self._updates[number] += 1

    def updates(self, number: int) -> int:
        """Return how many updates of an area were announced."""
        return self._updates[number]

    def close(self) -> None:
        for area in self.areas:
            area.memory.release()
            area.region.close()
        self.locks.close()
        self._control.close()


def _make(text: str) -> SharedArea:
    if text.isdigit():
        return _anonymous(int(text) * PAGE_SIZE, text)
    given = {key: value or "" for key, value in parse_keyval(text)}
    unknown = sorted(given.keys() - {"pages", "size", "file", "fd", "offset"})
    if unknown:
        raise ConfigError(f"sharedarea: {unknown[0]!r} is not supported: {text!r}")
    numbers = {}
    for key in ("pages", "size", "fd", "offset"):
        value = given.get(key, "0")
        if not value.isdigit():
            raise ConfigError(f"sharedarea: {key}={value} is no number: {text!r}")
        numbers[key] = int(value)
    size = numbers["size"] or numbers["pages"] * PAGE_SIZE
    if "file" in given:
        return _of_file(given["file"], None, size, numbers["offset"])
    if "fd" in given:
        return _of_file(f"descriptor {numbers['fd']}", numbers["fd"], size, 0)
    return _anonymous(size, text)


def _anonymous(size: int, text: str) -> SharedArea:
    if not size:
        raise ConfigError(f"sharedarea: {text!r} gives no size")
    region = Region.create("area", size)
    return SharedArea(memoryview(region.memory)[:size], region)


def _of_file(path: str, fd: int | None, size: int, offset: int) -> SharedArea:
    try:
        if fd is None:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        else:
            fd = os.dup(fd)
        end = os.fstat(fd).st_size
        size = size or end - offset
        if size <= 0:
            raise StartupError(f"sharedarea: {path} is empty and no size is given")
        if end < offset + size:
            reserve(fd, offset + size)
        region = Region(path, fd, offset + size)
    except (OSError, ValueError) as exc:
        raise StartupError(f"sharedarea: cannot map {path}: {exc}") from exc
    return SharedArea(
        memoryview(region.memory)[offset : offset + size], region, offset=offset
    )
