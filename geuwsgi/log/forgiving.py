"""Standard output and error that never fail and never wait.

They are the log. A full disk, a reader that died or one that stopped reading its pipe
costs lines; it must not end a master nor hold up a worker, which is what an ordinary
``print`` does then.
"""

from __future__ import annotations

import io
import select
import sys

#: Pipes take this much at once whenever they say that they can be written.
_PIPE_BUF = 512 * 8

#: How long a reader may keep a line waiting before it is dropped.
_PATIENCE_MS = 20


def _system_poll() -> select.poll:
    # Where gevent has patched select, its poll would switch greenlets in a print.
    monkey = sys.modules.get("gevent.monkey")
    kind = select.poll if monkey is None else monkey.get_original("select", "poll")
    made: select.poll = kind()
    return made


class ForgivingFile(io.FileIO):
    """Writes what can be written now and says that it was everything."""

    def write(self, octets: object) -> int:
        view = memoryview(octets).cast("B")  # type: ignore[arg-type]
        poll = _system_poll()
        try:
            poll.register(self.fileno(), select.POLLOUT)
            rest = view
            while rest:
                ready = poll.poll(_PATIENCE_MS)
                if not ready or not ready[0][1] & select.POLLOUT:
                    break
                rest = rest[super().write(rest[:_PIPE_BUF]) or len(rest) :]
        except OSError:
            pass  # Nobody can be told: this is where one would be told.
        return len(view)


def forgive() -> None:
    """Make the process's standard output and error forgiving.

    Streams that somebody replaced are left alone.
    """
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        sys.stdout = _text(sys.stdout.fileno())
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _text(sys.stderr.fileno())


def _text(fd: int) -> io.TextIOWrapper:
    raw = ForgivingFile(fd, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
