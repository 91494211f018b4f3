"""One stream of HTTP/2, seen as the stream of one exchange.

The exchange writes an HTTP/1.1 response; the channel turns its head into a HEADERS
frame and what follows into DATA frames, as fast as the client's windows allow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent.event
from greenlet import getcurrent, greenlet

from geuwsgi.errors import Disconnected, PeerTimeout
from geuwsgi.net.fileblocks import file_blocks
from geuwsgi.server.http2.heads import response_fields

if TYPE_CHECKING:
    from geuwsgi.net.stream import BeforeWaiting
    from geuwsgi.server.http2.session import Session

_FILE_BLOCK = 65536
#: Pieces of a body that are shorter are joined.
_SMALL = 1024
#: After so many bytes other greenlets have their turn.
_ONE_GO = 65536


class Channel:
    """The part of ``Stream`` that exchanges and bodies use."""

    __slots__ = (
        "_ended",
        "_failure",
        "_has_expired",
        "_have",
        "_head",
        "_head_sent",
        "_in_one_go",
        "_received",
        "_session",
        "_waits",
        "_wakeup",
        "closed",
        "deadline",
        "is_waiting",
        "is_whole",
        "number",
        "on_failure",
        "unacknowledged",
        "unsent",
        "was_reset",
        "write_deadline",
        "write_timeout",
    )

    def __init__(self, session: Session, number: int) -> None:
        self._session = session
        self.number = number
        self._received: deque[bytes] = deque()
        self._ended = False
        self._failure = ""
        self._head = b""
        self._head_sent = False
        self._in_one_go = 0
        self._wakeup = gevent.event.Event()
        self._waits: greenlet | None = None
        self._have = 0
        self._has_expired = False
        self.closed = False
        self.deadline = 0.0
        #: When a wait for the client's window ends; 0: there is none.
        self.write_deadline = 0.0
        self.write_timeout = session.write_timeout
        #: Whether the body is waited for.
        self.is_waiting = False
        #: Told when the client has reset the stream, or is gone.
        self.on_failure: Callable[[], None] | None = None
        #: As `Stream.unsent`.
        self.unsent = 0
        #: The response ended as it should.
        self.is_whole = False
        self.was_reset = False
        #: Bytes of the body that the client may not send again yet.
        self.unacknowledged = 0

    # Told by the session

    def take(self, octets: bytes, counted: int) -> None:
        """Bytes of the body came; ``counted`` of the window with padding."""
        self.unacknowledged += counted
        received = self._received
        self._have += len(octets)
        if received and len(received[-1]) < _SMALL and len(octets) < _SMALL:
            # An object for each byte would be thirty times as much.
            received[-1] += octets
        elif octets:
            received.append(octets)
        self._wakeup.set()

    def end_of_body(self) -> None:
        self._ended = True
        self._wakeup.set()

    def fail(self, reason: str) -> None:
        """The client reset the stream, or the connection is gone.

        A sentence, no exception: that would hold the frames that raised it, they the
        channel, and the answer waited for the garbage collector.
        """
        self._failure = reason
        self._wakeup.set()
        told, self.on_failure = self.on_failure, None
        if told is not None:
            told()

    def window_opened(self) -> None:
        self._wakeup.set()

    @property
    def has_whole_body(self) -> bool:
        """Whether the client has sent all of the request."""
        return self._ended

    @property
    def has_failed(self) -> bool:
        """Whether the client has reset the stream, or is gone."""
        return bool(self._failure)

    @property
    def may_end(self) -> bool:
        """Whether there is a response, and nobody has cut it."""
        return self._head_sent and not self.was_reset

    # Reading

    def recv(self, size: int) -> bytes:
        """Return some of the body, b"" at its end; parks the greenlet."""
        self._await(1, self.deadline)
        if not self._received:
            return b""
        block = self._received.popleft()
        if len(block) > size:
            self._received.appendleft(block[size:])
            block = block[:size]
        self._have -= len(block)
        if not self._received and self.unacknowledged:
            counted, self.unacknowledged = self.unacknowledged, 0
            self._session.acknowledge(self.number, counted)
        return block

    def await_body(self, count: int, deadline: float) -> None:
        """Park the greenlet until ``count`` bytes of the body are here, or all of it.

        Raises PeerTimeout past the deadline.
        """
        self._await(count, deadline)

    def _await(self, count: int, deadline: float) -> None:
        while self._have < count and not self._ended:
            self.is_waiting = True
            try:
                self._wait(deadline)
            finally:
                self.is_waiting = False

    # Writing

    def send_all(self, octets: bytes | memoryview) -> None:
        """Send a piece of an HTTP/1.1 response, its head first."""
        self._check()
        if not self._head_sent:
            self._head += bytes(octets)
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, octets = self._head[:end], self._head[end + 4 :]
            self._head = b""
            # An interim response may come before the final one.
            self._head_sent = head[9:10] != b"1"
            self._session.send_head(self.number, response_fields(head))
            if not self._head_sent:
                if octets:
                    self.send_all(octets)
                return
        view = memoryview(octets)
        while view:
            sent = self._session.send_data(self.number, view)
            if sent:
                view = view[sent:]
                self._in_one_go += sent
                if self._in_one_go >= _ONE_GO:
                    self._in_one_go = 0
                    self._session.let_others_run()
            else:
                self.unsent = len(view)
                self._await_window()
            self._check()

    def _await_window(self) -> None:
        if self.write_timeout:
            self.write_deadline = self._session.now() + self.write_timeout
        try:
            self._wait(self.write_deadline)
        finally:
            self.write_deadline = 0.0

    def send_last(
        self, octets: bytes | memoryview, before_waiting: BeforeWaiting
    ) -> None:
        # Whether it waits is for the window to say, and the windows of others.
        if not before_waiting(memoryview(octets), self.send_file):
            self.send_all(octets)

    send_more = send_all

    def send_file(
        self,
        fd: int,
        offset: int,
        count: int,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Send a part of a file, copied into frames."""
        sent = 0
        for block in file_blocks(fd, offset, count, _FILE_BLOCK):
            self.send_all(block)
            sent += len(block)
            if progress is not None:
                progress(len(block))
        return sent

    def _check(self) -> None:
        if self._failure:
            raise Disconnected(self._failure)
        if self.closed:
            raise Disconnected("the stream is closed")

    def _wait(self, deadline: float) -> None:
        """Park until something happens; PeerTimeout past the deadline."""
        self._check()
        self._wakeup.clear()
        timeout = None
        if deadline > 0:
            timeout = max(deadline - self._session.now(), 0.0)
        self._waits = getcurrent()
        try:
            woken = self._wakeup.wait(timeout)
        finally:
            self._waits = None
        if not woken or self._has_expired:
            self._has_expired = False
            raise PeerTimeout("the peer was silent for too long")
        self._check()

    # What else is asked of a stream

    def fileno(self) -> int:
        """The descriptor of the whole connection."""
        return self._session.fileno()

    def is_parked(self, current: greenlet | None) -> bool:
        return current is not None and self._waits is current

    def left_to_take(self) -> int:
        """As `Stream.left_to_take`, but what is in the connection counts as taken."""
        return self.unsent if self._waits is not None and self.write_deadline else 0

    def is_overdue(self, now: float) -> bool:
        return False  # each wait has its own end

    def expire(self) -> None:
        """Fail the wait in progress: others wait for what this request holds."""
        if self.is_waiting or self.write_deadline:
            self._has_expired = True
            self._wakeup.set()

    def reset_on_close(self) -> None:
        self.was_reset = True

    def shutdown_write(self) -> None:
        """The end of the response is told when its exchange has ended."""

    def half_close_and_drain(self, limit: int) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True
