"""Files to clients without the application and without blocking the hub.

``sendfile(2)`` waits for the disk when the bytes are not in the page cache, and then
every greenlet of the worker waits. With ``offload-threads`` the sender first asks the
kernel whether they are there (a read with RWF_NOWAIT, one system call a window) and
lets a thread fetch them if not. A file that is read often is in memory, so this costs
a hot file two system calls a megabyte and a cold one no latency for others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from gevent.threadpool import ThreadPool

# As much as is fetched ahead for a client that may then go away.
WINDOW = 1 << 20
COPY_BLOCK = 1 << 17

_RWF_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)

Progress = Callable[[int], None]


class Sink(Protocol):
    """Where the bytes go: a stream, or an exchange's framing around one."""

    def send_all(self, octets: bytes | memoryview, /) -> None:
        """Send everything; parks the greenlet while the peer is slow."""

    def send_file(
        self,
        fd: int,
        offset: int,
        count: int,
        progress: Progress | None = None,
        /,
    ) -> int:
        """Send bytes of a file; returns how many, fewer if the file ends."""


class FileSender:
    """Sends pieces of files. One serves a worker.

    ``use_sendfile`` false copies through memory (uWSGI: disable-sendfile). With
    ``threads`` above 0, reads that the page cache cannot answer are made by a pool
    of that many threads; the pool starts with the first of them.
    """

    def __init__(self, *, use_sendfile: bool = True, threads: int = 0) -> None:
        self._use_sendfile = use_sendfile
        self._threads = threads
        self._pool: ThreadPool | None = None

    def send(
        self,
        sink: Sink,
        fd: int,
        offset: int,
        count: int,
        progress: Progress | None = None,
    ) -> int:
        """Send ``count`` bytes of ``fd`` from ``offset``; returns how many were.

        Fewer are sent if the file ends early: the caller then cuts the response.
        Raises what the sink raises when the client is gone.
        """
        if not self._threads and self._use_sendfile:
            return sink.send_file(fd, offset, count, progress)
        left = count
        while left:
            window = min(left, WINDOW if self._use_sendfile else COPY_BLOCK)
            if self._use_sendfile:
                self._warm(fd, offset, window)
                sent = sink.send_file(fd, offset, window, progress)
            else:
                block = self.read(fd, offset, window)
                sink.send_all(block)
                sent = len(block)
                if progress is not None and sent:
                    progress(sent)
            if not sent:
                break
            offset += sent
            left -= sent
        return count - left

    def read(self, fd: int, offset: int, count: int) -> bytes:
        """Read at most ``count`` bytes, in a thread if the disk has to be asked."""
        if not self._threads:
            return os.pread(fd, count, offset)
        if _RWF_NOWAIT:
            block = bytearray(count)
            try:
                got = os.preadv(fd, [block], offset, _RWF_NOWAIT)
            except OSError:  # not in the cache, or a file system that cannot tell
                got = -1
            # A short read may be the end of the file or the end of what is cached.
            if got == count or got == 0:
                return bytes(block[:got])
        return self._in_thread(fd, count, offset)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.kill()
            self._pool = None

    def _warm(self, fd: int, offset: int, count: int) -> None:
        # Read-ahead fills the cache in order: the ends of a window stand for it.
        if _RWF_NOWAIT and all(
            _is_cached(fd, place) for place in (offset, offset + count - 1)
        ):
            return
        self._in_thread(fd, count, offset)

    def _in_thread(self, fd: int, count: int, offset: int) -> bytes:
        if self._pool is None:
            self._pool = ThreadPool(self._threads)
        # The descriptor must outlive the read even if this greenlet is killed while
        # the thread is at it: the number could be another connection's by then.
        own = os.dup(fd)
        block = self._pool.spawn(_read_and_close, own, count, offset).get()
        assert block is not None
        return block


def _read_and_close(fd: int, count: int, offset: int) -> bytes:
    try:
        return os.pread(fd, count, offset)
    finally:
        os.close(fd)


def _is_cached(fd: int, offset: int) -> bool:
    try:
        os.preadv(fd, [bytearray(1)], offset, _RWF_NOWAIT)
    except OSError:
        return False
    return True
