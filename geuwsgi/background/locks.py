"""Locks between all greenlets of all processes of an instance.

A greenlet that waits does not stop its hub. The end of a process gives its locks back.
Between processes the locks are record locks (:mod:`geuwsgi.shared.recordlocks`); inside
a process the greenlets queue here, and the first in the queue competes with the other
processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import gevent.event
import gevent.lock
import gevent.socket
from greenlet import getcurrent, greenlet

from geuwsgi.shared.recordlocks import RecordLocks

# A death wakes nobody; who waits looks again after this time.
_LOOK_AGAIN_S = 0.05
# After giving a lock back to a waiting process, before this one competes again.
_COURTESY_S = 0.001


class CommonLock:
    """One lock as the greenlets of one process see it. Not for threads."""

    def __init__(self, records: RecordLocks, number: int) -> None:
        self._records = records
        self.number = number
        self._queue = gevent.lock.BoundedSemaphore(1)
        self._idle = gevent.event.Event()
        self._idle.set()
        self._owner: greenlet | None = None
        self._readers = 0
        self._courteous = False

    def acquire(self, *, shared: bool = False, timeout_s: float | None = None) -> bool:
        """Take the lock; False if it was not free within ``timeout_s``.

        Blocks the calling greenlet. A ``shared`` lock may be held by many, an
        exclusive one by one greenlet. Raises RuntimeError if this very greenlet holds
        it exclusively already: it would wait for itself.
        """
        if self._owner is getcurrent():
            raise RuntimeError(f"this greenlet has lock {self.number} already")
        until = None if timeout_s is None else time.monotonic() + timeout_s
        if not self._queue.acquire(timeout=timeout_s):
            return False
        taken = False
        try:
            if shared and self._readers:
                taken = True
            elif shared or self._idle.wait(_remaining(until)):
                taken = self._compete(shared, until)
            if taken and shared:
                self._readers += 1
                self._idle.clear()
            elif taken:
                self._owner = getcurrent()
        finally:
            # Whoever has it exclusively stays at the head of the queue.
            if shared or not taken:
                self._queue.release()
        return taken

    def release(self) -> bool:
        """Give the lock back, whoever of this process took it; False if nobody did."""
        if self._owner is not None:
            self._owner = None
            self._leave()
            self._queue.release()
            return True
        if self._readers:
            self._readers -= 1
            if not self._readers:
                self._leave()
                self._idle.set()
            return True
        return False

    def is_taken(self) -> bool:
        """Tell whether anybody has it, here or in another process."""
        if self._owner is not None or self._readers:
            return True
        return self._records.is_taken_elsewhere(self.number)

    @property
    def owner(self) -> greenlet | None:
        """The greenlet of this process that has it exclusively."""
        return self._owner

    @contextmanager
    def held(
        self, *, shared: bool = False, timeout_s: float | None = None
    ) -> Iterator[None]:
        """Hold the lock for a ``with`` block. Raises TimeoutError."""
        if not self.acquire(shared=shared, timeout_s=timeout_s):
            raise TimeoutError(
                f"lock {self.number} was not free within {timeout_s} seconds"
            )
        try:
            yield
        finally:
            self.release()

    def _compete(self, shared: bool, until: float | None) -> bool:
        records, number = self._records, self.number
        if self._courteous:
            self._courteous = False
            gevent.sleep(_COURTESY_S)
        while not records.try_acquire(number, shared=shared):
            remaining = _remaining(until)
            if remaining is not None and remaining <= 0:
                return False
            records.announce_waiting(number)
            try:
                gevent.socket.wait_read(
                    records.wake_fd,
                    timeout=min(_LOOK_AGAIN_S, remaining or _LOOK_AGAIN_S),
                )
            except TimeoutError:
                continue
            records.take_wake()
        return True

    def _leave(self) -> None:
        self._courteous = self._records.is_awaited(self.number)
        self._records.release(self.number)


def _remaining(until: float | None) -> float | None:
    return None if until is None else until - time.monotonic()
