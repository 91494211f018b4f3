"""From bytes of a pipe, or text of the master, to whole lines."""

from __future__ import annotations

import io
import os
from collections.abc import Callable

_READ_BYTES = 1 << 16
# What one call of `read` takes at most: the master has other things to do.
_READS_AT_ONCE = 16
_LONGEST_LINE = 1 << 20


class LineReader:
    """Makes lines of what arrives on the pipe ``fd``, which does not block.

    ``write_lines`` gets one or more whole lines.
    """

    def __init__(self, fd: int, write_lines: Callable[[bytes], object]) -> None:
        self._fd = fd
        self._write_lines = write_lines
        self._rest = b""
        self._waited = False

    def read(self, times: int = _READS_AT_ONCE) -> bool:
        """Read up to ``times`` pieces; return whether the pipe is empty."""
        for _ in range(times):
            try:
                piece = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                return True
            if not piece:
                return True
            self._waited = False
            self._take(piece)
        return False

    def drain(self) -> None:
        """Read all there is."""
        while not self.read():
            pass
        self._end_line()

    def tick(self) -> None:
        """End a line that nobody ends: a prompt, the last words of a process."""
        if self._rest and self._waited:
            self._end_line()
        self._waited = True

    def _take(self, piece: bytes) -> None:
        lines, newline, rest = piece.rpartition(b"\n")
        if newline:
            self._write_lines(self._rest + lines + newline)
            self._rest = rest
        else:
            self._rest += piece
            if len(self._rest) > _LONGEST_LINE:
                self._end_line()

    def _end_line(self) -> None:
        if self._rest:
            self._write_lines(self._rest + b"\n")
            self._rest = b""


class MasterStream(io.TextIOBase):
    """A text file whose lines go to ``write``, with what ``stamp`` says before each."""

    encoding = "utf-8"

    def __init__(
        self,
        write: Callable[[bytes], object],
        stamp: Callable[[], str] | None = None,
    ) -> None:
        self._write = write
        self._stamp = stamp
        self._rest = ""

    def write(self, text: str) -> int:
        """Take ``text``; what follows the last newline waits for its line's end."""
        *lines, self._rest = (self._rest + text).split("\n")
        stamp = self._stamp() if self._stamp is not None and lines else ""
        for line in lines:
            self._write(f"{stamp}{line}\n".encode("utf-8", "backslashreplace"))
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Return that of standard error, for those who only want to pass it on."""
        return 2
