"""The end of a process whose one task takes too long.

A mule or a spooler does one thing at a time, so there the whole process is ended, as
uWSGI does: its successor finds the task again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_RESERVE_S = 1.0


@contextmanager
def process_harakiri(seconds: float, what: str) -> Iterator[None]:
    """Kill this process if the ``with`` block takes longer than ``seconds``.

    0 is no limit. Only for the main thread, and for one block at a time. A thread of
    the interpreter's own stands behind the alarm, for code that never lets a signal
    handler run.
    """
    if not seconds:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        stack = "".join(traceback.format_stack(frame))
        with contextlib.suppress(OSError):
            os.write(2, f"HARAKIRI !!! {what} ({seconds:g} seconds)\n{stack}".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + _RESERVE_S, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
