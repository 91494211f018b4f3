"""Notice what happens to files: with inotify, or else by looking at them."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

# IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE,
# IN_DELETE_SELF, IN_MOVE_SELF: what uWSGI reacts to.
_MASK = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
_IN_IGNORED = 0x8000
_EVENT = struct.Struct("iIII")


class FileWatch:
    """Watched paths, each with a number that ``changed`` reports.

    ``fileno`` becomes readable when something happened; it is -1 where the system has
    no inotify, and for paths that did not exist when they were added: those are
    noticed by calling ``changed`` once a second.
    """

    def __init__(self) -> None:
        self._fd = _inotify()
        self._numbers: dict[int, int] = {}  # inotify's watch to ours
        self._paths: dict[int, bytes] = {}
        self._states: dict[int, tuple[int, ...] | None] = {}

    def fileno(self) -> int:
        return self._fd

    def add(self, number: int, path: bytes) -> bool:
        """Watch a path; False if there is nothing yet (it is watched anyway)."""
        self._paths[number] = path
        if not self._arm(number):
            self._states[number] = _state(path)
        return number not in self._states or self._states[number] is not None

    def changed(self) -> set[int]:
        """Return the numbers of the paths to which something happened."""
        changed = self._read()
        for number, before in list(self._states.items()):
            now = _state(self._paths[number])
            if now != before:
                changed.add(number)
                self._states[number] = now
            if now is not None and self._arm(number):
                del self._states[number]
        return changed

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _arm(self, number: int) -> bool:
        if self._fd < 0:
            return False
        watch = ctypes.CDLL(None).inotify_add_watch(
            self._fd, ctypes.c_char_p(self._paths[number]), ctypes.c_uint32(_MASK)
        )
        if watch < 0:
            return False
        self._numbers[watch] = number
        return True

    def _read(self) -> set[int]:
        changed: set[int] = set()
        if self._fd < 0:
            return changed
        while True:
            try:
                events = os.read(self._fd, 65536)
            except (BlockingIOError, InterruptedError):
                return changed
            at = 0
            while at < len(events):
                watch, mask, _, length = _EVENT.unpack_from(events, at)
                at += _EVENT.size + length
                number = self._numbers.get(watch)
                if number is None:
                    continue
                if mask & _IN_IGNORED:
                    # The file is gone: it was told before. Wait for the next one.
                    del self._numbers[watch]
                    self._states[number] = None
                else:
                    changed.add(number)


def _inotify() -> int:
    if not sys.platform.startswith("linux"):
        return -1
    flags = os.O_NONBLOCK | os.O_CLOEXEC
    return int(ctypes.CDLL(None).inotify_init1(flags))


def _state(path: bytes) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode
