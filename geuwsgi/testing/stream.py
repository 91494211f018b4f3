"""A connection that lives in memory: the peer's bytes are given, ours are kept.

Takes the place of `geuwsgi.net.stream.Stream` where a test wants neither a socket nor
a hub: nothing here ever parks a greenlet.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable

from geuwsgi.errors import Disconnected
from geuwsgi.net.stream import BeforeWaiting

#: What the peer does next: bytes arrive, nothing has arrived yet, or it is gone.
Event = bytes | None | Disconnected


class MemoryStream:
    """Plays the ``events`` of a peer, in order, and collects the answer in `sent`.

    Each read returns (a part of) one piece of bytes, so that a test decides how the
    network cuts them. A ``None`` is a moment when nothing is there: `recv_nowait`
    returns it, `recv` waits it out. An exception is raised by the read that reaches
    it. After the last event the stream is at its end: b"".

    ``gone_after``: the peer disconnects when it was sent more than so many bytes.
    """

    def __init__(
        self, events: Iterable[Event] = (), *, gone_after: int | None = None
    ) -> None:
        self._events = deque(events)
        self._gone_after = gone_after
        self.sent = bytearray()
        self.deadline = 0.0
        self.closed = False
        #: How the stream ended: both ways, only ours, or by a reset.
        self.is_write_shut = False
        self.is_reset = False

    def fileno(self) -> int:
        return -1

    @property
    def is_waiting(self) -> bool:
        return False

    def arrive(self, event: Event) -> None:
        """Let the peer do one more thing."""
        self._events.append(event)

    def recv(self, size: int) -> bytes:
        while (received := self.recv_nowait(size)) is None:
            pass
        return received

    recv_after_wait = recv

    def recv_nowait(self, size: int) -> bytes | None:
        if self.closed:
            raise Disconnected("the connection is closed")
        if not self._events:
            return b""
        event = self._events.popleft()
        if isinstance(event, Disconnected):
            raise event
        if event is not None and len(event) > size:
            self._events.appendleft(event[size:])
            event = event[:size]
        return event

    def wait_readable(self) -> None:
        while self._events and self._events[0] is None:
            self._events.popleft()

    def wait_writable(self) -> None:
        pass

    def send_all(self, octets: bytes | memoryview) -> None:
        if self.closed or self.is_write_shut:
            raise Disconnected("the connection is closed")
        self.sent += octets
        if self._gone_after is not None and len(self.sent) > self._gone_after:
            del self.sent[self._gone_after :]
            raise Disconnected("Connection reset by peer")

    send_more = send_all

    def send_last(
        self, octets: bytes | memoryview, before_waiting: BeforeWaiting
    ) -> None:
        self.send_all(octets)

    def send_nowait(self, octets: bytes | memoryview) -> int:
        self.send_all(octets)
        return len(octets)

    def send_file(
        self,
        fd: int,
        offset: int,
        count: int,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        octets = os.pread(fd, count, offset)
        self.send_all(octets)
        if progress is not None and octets:
            progress(len(octets))
        return len(octets)

    def shutdown_write(self) -> None:
        self.is_write_shut = True

    def reset_on_close(self) -> None:
        self.is_reset = True

    def half_close_and_drain(self, limit: int) -> None:
        self.shutdown_write()
        try:
            while limit > 0 and (received := self.recv(65536)):
                limit -= len(received)
        except Disconnected:
            pass
        self.close()

    def expire(self) -> None:
        self.deadline = 0.0

    def detach_watcher(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
