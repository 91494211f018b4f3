"""Numbered locks that a process may hold for long, and that end with it.

Record locks of ``fcntl`` on an anonymous file: the kernel gives them back when their
process ends, however it ends. They belong to processes; greenlets of one process are
kept apart by :mod:`geuwsgi.background.locks`, which also does the waiting. Nothing here
waits.

Who found a lock taken says so with ``announce_waiting``; ``release`` then makes the wake
descriptor readable, once for each release. That is a hint that saves time: a death
gives none, so waiting processes look again now and then anyway.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import sys
from collections.abc import Mapping
from typing import Any

from geuwsgi.shared.region import Region

# struct flock on 64-bit Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")


class RecordLocks:
    """``count`` locks, numbered from 0. Made by the master, used by everyone."""

    def __init__(self, region: Region, count: int, wake_fds: tuple[int, int]) -> None:
        self._region = region
        self.count = count
        self._wake_read, self._wake_write = wake_fds
        self._waiting = memoryview(region.memory).cast("q")

    @classmethod
    def create(cls, name: str, count: int) -> RecordLocks:
        region = Region.create(name, 8 * max(count, 1))
        read, write = os.pipe()
        for fd in (read, write):
            os.set_blocking(fd, False)
        return cls(region, count, (read, write))

    def descriptors(self) -> list[int]:
        return [self._region.fd, self._wake_read, self._wake_write]

    def to_wire(self) -> dict[str, Any]:
        return {
            "region": self._region.to_wire(),
            "count": self.count,
            "wake": [self._wake_read, self._wake_write],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> RecordLocks:
        read, write = wire["wake"]
        return cls(Region.from_wire(wire["region"]), int(wire["count"]), (read, write))

    def try_acquire(self, number: int, *, shared: bool = False) -> bool:
        """Take a lock for this process; False if another process has it.

        A lock that this process has already is changed to the asked kind.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.lockf(self._region.fd, kind | fcntl.LOCK_NB, 1, number)
        except OSError as exc:
            if exc.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True

    def release(self, number: int) -> None:
        """Give a lock back and wake who waits for it."""
        fcntl.lockf(self._region.fd, fcntl.LOCK_UN, 1, number)
        if self._waiting[number]:
            self._waiting[number] = 0
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_write, b"\0")

    def is_taken_elsewhere(self, number: int) -> bool:
        """Tell whether another process has the lock."""
        if sys.platform.startswith("linux"):
            question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0)
            answer = fcntl.fcntl(self._region.fd, fcntl.F_GETLK, question)
            return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
        if self.try_acquire(number):
            self.release(number)
            return False
        return True

    @property
    def wake_fd(self) -> int:
        """What becomes readable when a lock was given back that somebody awaits."""
        return self._wake_read

    def announce_waiting(self, number: int) -> None:
        """Ask to be woken when the lock is given back."""
        self._waiting[number] = 1

    def is_awaited(self, number: int) -> bool:
        """Tell whether somebody asked to be woken."""
        return self._waiting[number] != 0

    def take_wake(self) -> None:
        """Take one wake-up off the descriptor."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 1)

    def close(self) -> None:
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)
        self._region.close()
