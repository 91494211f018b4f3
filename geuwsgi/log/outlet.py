"""Write to a descriptor without ever waiting for its reader.

A terminal that is stopped, a ``docker logs`` or journald that hangs, must not stop the
server. What the reader does not take is kept up to a limit, then dropped, and the number
of dropped lines is told once the reader is back.

O_NONBLOCK cannot be set on an inherited descriptor: the flag belongs to whoever else has
it, the user's shell for one. So pipes and terminals are opened once more, and sockets
are asked at each call.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import sys
from collections.abc import Callable

# What a pipe takes whole or not at all (pipe(7)), and so never mixed with others.
PIPE_BUF = 4096
KEPT_BYTES = 1 << 20


class Outlet:
    """Writes to ``fd``, which stays the caller's.

    Make it before privileges are dropped: opening a pipe once more needs those of its
    owner. ``limit`` is how many bytes are kept for a reader that does not read.
    """

    __slots__ = (
        "_at_once",
        "_closers",
        "_kept",
        "_lost",
        "_write",
        "dropped",
        "limit",
    )

    def __init__(self, fd: int, *, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self.dropped = 0
        self._lost = 0
        # A bytearray gives up its beginning without a copy of the rest.
        self._kept = bytearray()
        self._at_once = sys.maxsize
        self._closers: list[Callable[[], object]] = []
        self._write = self._way(fd)

    def write(self, octets: bytes) -> None:
        """Write, keep or drop ``octets``: whole lines. Raises nothing."""
        if self._kept or self._lost or len(octets) > self._at_once:
            self._write_behind(octets)
            return
        try:
            written = self._write(octets)
        except BlockingIOError:
            written = 0
        except OSError:
            # The reader is gone for good, or the disk is full. There is no one to tell.
            self.dropped += octets.count(b"\n")
            return
        if written < len(octets):
            self._keep(octets[written:], partial=written > 0)

    def flush(self) -> bool:
        """Try to write what is kept; return whether nothing is left."""
        while self._kept:
            try:
                written = self._write(self._piece())
            except BlockingIOError:
                return False
            except OSError:
                self.dropped += self._kept.count(b"\n")
                self._kept.clear()
                break
            del self._kept[:written]
        if self._lost:
            lost, self._lost = self._lost, 0
            self._keep(
                b"*** %d log lines were lost: their reader was too slow ***\n" % lost
            )
            return self.flush()
        return True

    def tick(self) -> None:
        """Flush; for those who call without asking."""
        self.flush()

    def close(self) -> None:
        """Write what can be written and close what was opened; not ``fd``."""
        self.flush()
        for close in self._closers:
            close()
        self._closers.clear()

    def _write_behind(self, octets: bytes) -> None:
        if self.flush():
            self._kept += octets
            self.flush()
        else:
            self._keep(octets)

    def _piece(self) -> bytes:
        """What is written in one call: lines that cannot be mixed with others'."""
        kept = self._kept
        if len(kept) <= self._at_once:
            return bytes(kept)
        end = kept.rfind(b"\n", 0, self._at_once) + 1
        return bytes(kept[: end or self._at_once])

    def _keep(self, octets: bytes, *, partial: bool = False) -> None:
        # The rest of a line whose beginning is out must follow, whatever its size.
        if partial or len(self._kept) + len(octets) <= self.limit:
            self._kept += octets
        else:
            lines = octets.count(b"\n")
            self.dropped += lines
            self._lost += lines

    def _way(self, fd: int) -> Callable[[bytes], int]:
        """The call that writes to ``fd`` without waiting."""
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            mode = stat.S_IFREG  # closed: each write will say so
        if stat.S_ISSOCK(mode):
            own = socket.socket(fileno=os.dup(fd))
            self._closers.append(own.close)
            return lambda octets: own.send(octets, socket.MSG_DONTWAIT)
        if stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and os.isatty(fd)):
            return self._way_of_pipe(fd)
        return lambda octets: os.write(fd, octets)

    def _way_of_pipe(self, fd: int) -> Callable[[bytes], int]:
        self._at_once = PIPE_BUF
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        try:
            own = os.open(f"/proc/self/fd/{fd}", flags)
        except OSError:
            return _careful(fd)
        self._closers.append(lambda: _close(own))
        return lambda octets: os.write(own, octets)


def _careful(fd: int) -> Callable[[bytes], int]:
    """Write to ``fd`` only when it has room, and no more than has room for sure.

    Another writer may take the room in between; then this waits for the reader.
    """
    poll = select.poll()
    poll.register(fd, select.POLLOUT)

    def write(octets: bytes) -> int:
        if not poll.poll(0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(fd, octets[:PIPE_BUF])

    return write


def _close(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)


class Buffer:
    """Collects lines for an outlet (geuwsgi: log-buffer).

    ``tick`` is to be called once a second.
    """

    __slots__ = ("_length", "_lines", "_outlet", "size")

    def __init__(self, outlet: Outlet, size: int) -> None:
        self.size = size
        self._outlet = outlet
        self._lines: list[bytes] = []
        self._length = 0

    def write(self, line: bytes) -> None:
        """Take ``line``; write all when there are ``size`` bytes or more."""
        self._lines.append(line)
        self._length += len(line)
        if self._length >= self.size:
            self.flush()

    def flush(self) -> bool:
        """Write what was collected; return whether the outlet took all."""
        if self._lines:
            octets = b"".join(self._lines)
            self._lines.clear()
            self._length = 0
            self._outlet.write(octets)
        return self._outlet.flush()

    def tick(self) -> None:
        """Flush; for those who call without asking."""
        self.flush()

    def close(self) -> None:
        """Write what was collected and close the outlet."""
        self.flush()
        self._outlet.close()


def request_outlet(fd: int, buffer_bytes: int = 0) -> Outlet | Buffer:
    """Return what a worker writes its request lines with (see Outlet).

    ``tick`` is to be called once a second, ``close`` at the worker's end.
    """
    outlet = Outlet(fd)
    return Buffer(outlet, buffer_bytes) if buffer_bytes > 0 else outlet
