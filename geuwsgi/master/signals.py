"""Signals of the master: they only queue; the loop acts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from types import FrameType


class SignalQueue:
    """The signals that came, as a readable descriptor.

    CPython writes the number of each signal into the pipe at once, so none is handled
    in the middle of anything, and none is lost while the loop works.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._reader, writer = os.pipe()
        self._writer = writer
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        self._former_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, _queue) for number in numbers}
        # Those that came while the start had them blocked come now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._former)

    def fileno(self) -> int:
        return self._reader

    def read(self) -> list[signal.Signals]:
        """The signals since the last call, in the order they came."""
        try:
            numbers = os.read(self._reader, 4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in numbers]

    def listen(self, number: int) -> signal.Signals:
        """Queue this signal as well. Raises ValueError for what is no signal."""
        chosen = signal.Signals(number)
        former = signal.signal(chosen, _queue)
        self._former.setdefault(chosen, former)
        return chosen

    def close(self) -> None:
        """Put back what was there before."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_wakeup)
        os.close(self._reader)
        os.close(self._writer)


def _queue(number: int, frame: FrameType | None) -> None:
    """The wake-up descriptor has got it already."""
