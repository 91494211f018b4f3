"""Answers that slow readers have not taken yet.

A whole answer is sent without a core, so that a slow reader keeps none. But it keeps
the answer, and memory is not without end: what does not fit goes to a file, as a proxy
in front would have it. Only if that is full too an answer waits on its core; then
readers that take next to nothing are given up.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING

from geuwsgi.server.lending import GRACE_S, LEAST_RATE, grace_s

if TYPE_CHECKING:
    from geuwsgi.net.clock import Clock
    from geuwsgi.server.cores import Cores
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.lending import Lending

#: Bytes of a worker's answers that may wait without a core, in memory and in files.
MOST_IN_MEMORY = 256 << 20
MOST_IN_FILES = 1 << 30

#: Bytes that are worth being asked back from the allocator.
_MUCH_BYTES = 32 << 20

#: Less is no memory to speak of, and not worth a descriptor.
_LEAST_SPILLED = 1 << 16
#: A disk may be slow, and who waits for it keeps a core: as many write at once.
_MOST_WRITING = 4


@dataclass(slots=True)
class Spilled:
    """The rest of an answer, in a file that has no name."""

    file: IO[bytes]
    size: int
    send_file: Callable[[int, int, int], int]

    def send(self) -> None:
        """Send it; parks the greenlet as long as the reader takes."""
        self.send_file(self.file.fileno(), 0, self.size)


class Unsent:
    """The answers of a worker that wait without a core.

    At most ``most`` bytes in memory and ``most_in_files`` in files of ``directory``.
    """

    __slots__ = (
        "_clock",
        "_directory",
        "_failed",
        "_in_files",
        "_most",
        "_most_in_files",
        "_peak",
        "_report",
        "_seen",
        "_spilled",
        "_waiting",
        "_writing",
        "size",
        "size_in_files",
    )

    def __init__(
        self,
        clock: Clock,
        report: Callable[[str], None],
        most: int = MOST_IN_MEMORY,
        most_in_files: int = MOST_IN_FILES,
    ) -> None:
        self._clock = clock
        self._report = report
        self._most = most
        self._most_in_files = most_in_files
        self._directory = _directory()
        self._failed = False
        self._waiting: dict[Exchange, int] = {}
        self._in_files: dict[Exchange, int] = {}
        self._seen: dict[Exchange, tuple[float, int]] = {}
        self._peak = 0
        self._spilled = 0
        self._writing = 0
        self.size = 0
        self.size_in_files = 0

    def limit(self, most: int, most_in_files: int) -> None:
        self._most = most
        self._most_in_files = most_in_files

    def admits(self, exchange: Exchange) -> bool:
        """Whether ``exchange``, whose reader is slow, may wait without its core."""
        size = exchange.body_bytes
        if self.size + size > self._most:
            return False
        self._waiting[exchange] = size
        self.size += size
        self._peak = max(self._peak, self.size)
        exchange.at_end(partial(self._leaves, exchange))
        return True

    def spill(
        self,
        exchange: Exchange,
        rest: memoryview,
        send_file: Callable[[int, int, int], int],
    ) -> Spilled | None:
        """Put ``rest`` into a file for ``send_file``; None if it has to stay.

        It is written in a thread, as disks keep their writers waiting. The file goes
        with the exchange.
        """
        size = len(rest)
        if (
            size < _LEAST_SPILLED
            or self._writing >= _MOST_WRITING
            or not self._has_room_for(size)
        ):
            return None
        self._in_files[exchange] = size
        self.size_in_files += size
        exchange.at_end(partial(self._leaves_file, exchange))
        self._writing += 1
        try:
            # Closed at the end of the exchange, which outlives this function.
            file = tempfile.TemporaryFile(buffering=0, dir=self._directory)  # noqa: SIM115
            exchange.site.hub.threadpool.apply(_write, (file, rest))
        except OSError as exc:
            if not self._failed:
                self._failed = True
                self._report(
                    "cannot write what slow readers have not taken to a file of "
                    f"{self._directory}: {exc.strerror or exc}"
                )
            return None
        finally:
            self._writing -= 1
        # Not before: who is killed meanwhile leaves it to the thread.
        exchange.at_end(file.close)
        self._failed = False
        self._spilled += size
        return Spilled(file, size, send_file)

    def _has_room_for(self, size: int) -> bool:
        if self.size_in_files + size > self._most_in_files:
            return False
        # Connections need descriptors as well.
        if len(self._in_files) >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3:
            return False
        try:
            disk = os.statvfs(self._directory)
        except OSError:
            return False
        # Others have use for the disk, too.
        return self.size_in_files + size < disk.f_bavail * disk.f_frsize // 2

    def give_up(self, cores: Cores, lending: Lending) -> None:
        """Give up readers that take next to nothing and stand in the way of others.

        Call it once a second, in the hub.
        """
        if not (self.size * 2 > self._most or lending.is_needed):
            self._seen.clear()
            return
        slow = self.look(
            [
                *self._waiting,
                *self._in_files,
                *cores.holders.values(),
                *lending.exchanges,
            ],
            self._clock.now,
            grace_s(lending),
        )
        if cores.free and not lending.is_full:
            return
        for exchange in slow:
            exchange.stream.expire()
            self._leaves(exchange)
        if slow:
            self._report(
                f"all cores are busy: {len(slow)} readers that take their answers "
                "too slowly are given up"
            )

    def look(
        self, exchanges: list[Exchange], now: float, grace: float = GRACE_S
    ) -> list[Exchange]:
        """Return those of ``exchanges`` whose readers are too slow.

        A reader is measured from the first look that finds it behind; what it takes is
        what leaves the kernel, which holds megabytes.
        """
        before = self._seen
        self._seen = {}
        slow = []
        for exchange in exchanges:
            left = exchange.stream.left_to_take()
            if not left:
                continue
            since, first = before.get(exchange, (now, left))
            if left > first:
                since, first = now, left  # another piece
            self._seen[exchange] = since, first
            if first - left < (now - since - grace) * LEAST_RATE:
                slow.append(exchange)
        return slow

    def has_shrunk(self) -> bool:
        """Whether much was waiting and nearly all of it is gone; told once.

        Gone out of memory, that is. The allocator may keep what it held.
        """
        if self._spilled >= _MUCH_BYTES:
            self._spilled = 0
            return True
        if self._peak < _MUCH_BYTES or self.size > self._peak // 8:
            return False
        self._peak = self.size
        return True

    def _leaves(self, exchange: Exchange) -> None:
        self.size -= self._waiting.pop(exchange, 0)

    def _leaves_file(self, exchange: Exchange) -> None:
        self.size_in_files -= self._in_files.pop(exchange, 0)


def _write(file: IO[bytes], octets: memoryview) -> None:
    while octets:
        octets = octets[file.write(octets) :]


def _directory() -> str:
    """Where files go: what TMPDIR says, else where they are not in memory."""
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK | os.X_OK):
        return "/var/tmp"
    return tempfile.gettempdir()
