"""What a worker is doing right now, told into the log when SIGUSR2 asks.

Two reporters share the signal. The first is faulthandler: it runs in the signal
handler itself, so it tells where the thread stands even when the hub is blocked in C
code. The second runs as soon as Python code runs, in whatever greenlet does: it knows
the requests in flight, and which of them is the one that blocks the others.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Protocol

from greenlet import getcurrent, greenlet


class LiveRequest(Protocol):
    """A request in flight, as the server describes it."""

    @property
    def core(self) -> int: ...
    @property
    def method(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def started(self) -> float: ...
    @property
    def greenlet(self) -> greenlet | None: ...
    def stack(self) -> str: ...


Live = Callable[[], Sequence[LiveRequest]]


class StackReporter:
    """Answers SIGUSR2 in process ``name``; ``live`` lists its requests."""

    def __init__(self, name: str, live: Live) -> None:
        self._name = name
        self._live = live

    def install(self) -> None:
        """Must be called in the main thread. faulthandler chains to what is there."""
        signal.signal(signal.SIGUSR2, self._asked)
        faulthandler.register(signal.SIGUSR2, file=2, all_threads=False, chain=True)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        sys.stderr.write(self.report(getcurrent()))
        sys.stderr.flush()

    def report(self, running: greenlet | None = None) -> str:
        """The requests in flight, ``running`` marked if it is one of them."""
        lines = [f"*** {self._name} (pid: {os.getpid()}) status ***"]
        for request in self._live():
            lines.append(
                f"[core {request.core}] {request.address} - {request.method} "
                f"{request.uri} since {int(request.started)}"
            )
            if request.greenlet is running:
                lines.append("  this one runs now and blocks the others")
            else:
                lines.append(request.stack().rstrip("\n"))
        lines.append(f"*** end of {self._name} status ***\n")
        return "\n".join(lines)
