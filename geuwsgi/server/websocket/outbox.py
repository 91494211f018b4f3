"""What is sent on one websocket: whole frames, in order, from any greenlet.

Mostly the kernel takes a frame at once, and then this is one system call. When it
does not, the greenlets that send take turns, each parked until its own frame is out,
so that a slow reader costs its senders time and nobody memory. Three kinds of frames
have no greenlet that could wait, and each kind is bounded:

- control frames (the answer to a ping, a close): the latest of each kind is kept and
  goes out before the next frame;
- broadcast frames: a backlog of at most ``BACKLOG_BYTES``, whose bytes the receivers
  of the broadcast share, sent by a greenlet that lives as long as the backlog;
- the rest of a frame whose sender was killed in the middle: half a frame would make
  the peer misread everything behind it.

Frames may also be held for a moment, so that answers to messages that came together
leave together. Every other method sends what is held before anything else, and so does
the loop as soon as it runs: nothing is held across a wait.

Invariant: a frame is never interrupted by another one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import gevent
from gevent import get_hub
from gevent.lock import Semaphore

from geuwsgi.errors import Disconnected

if TYPE_CHECKING:
    from geuwsgi.net.clock import Clock
    from geuwsgi.net.stream import Stream

#: How much of broadcasts may wait for one slow reader before it is given up.
BACKLOG_BYTES: Final = 1 << 20
#: How much is held at most, and how long a frame for that.
_HELD_BYTES: Final = 16384
_HELD_FRAME_BYTES: Final = 2048


class Outbox:
    """Sends frames on ``stream``.

    A peer that takes nothing for ``timeout`` seconds is gone: the write raises
    PeerTimeout. ``progress`` becomes true whenever it took something late.
    """

    __slots__ = (
        "_backlog",
        "_backlog_bytes",
        "_clock",
        "_close",
        "_pong",
        "_rest",
        "_senders",
        "_stream",
        "_timeout",
        "_turn",
        "busy",
        "held",
        "progress",
        "sent",
        "shut",
    )

    def __init__(self, stream: Stream, clock: Clock, timeout: float) -> None:
        self._stream = stream
        self._clock = clock
        self._timeout = timeout
        self._turn: Semaphore | None = None  # made when two want to send
        self._senders = 0  # greenlets that have or await the turn
        self._rest = b""  # of a frame that was begun and has no sender
        self._pong = b""
        self._close = b""
        self._backlog: deque[bytes] | None = None
        self._backlog_bytes = 0
        #: Whole frames, which nothing may overtake.
        self.held: bytearray | None = None
        #: A frame cannot simply be written: something else has to go first.
        self.busy = False
        self.progress = False
        self.sent = 0
        #: A close frame was sent, or the peer is gone: no other frame may follow.
        self.shut = False

    def move(self, stream: Stream) -> None:
        """Send on another stream from now on. Not while it is ``busy``."""
        self.release()
        self._stream = stream

    # By greenlets that can wait

    def write(self, frame: bytes) -> None:
        """Send ``frame``; parks the greenlet until it is all out.

        Raises Disconnected. If the greenlet is killed or times out meanwhile, the
        frame is dropped, or, if a part is out, the rest follows later by itself.
        """
        if self.held is not None:
            self.release()
        if self.busy:
            self.take_turn()
            try:
                self.write_in_turn(frame)
            finally:
                self.end_turn()
            return
        sent = self._stream.send_nowait(frame)
        if sent == len(frame):
            self.sent += sent
        else:
            self.write_rest(frame, sent)

    def write_rest(self, frame: bytes, sent: int) -> None:
        """As ``write``, of a frame of which ``sent`` bytes are out; not if ``busy``."""
        self.sent += len(frame)
        self.take_turn()
        try:
            self._write_rest(memoryview(frame)[sent:], sent > 0)
        finally:
            self.end_turn()

    def take_turn(self) -> None:
        """Wait until no other greenlet is sending; ``end_turn`` must follow.

        For senders that must not be overtaken between making a frame and sending
        it. The greenlet is parked if others are sending.
        """
        self.release()
        turn = self._turn
        if turn is None:
            turn = self._turn = Semaphore(1)
        self._senders += 1
        self.busy = True
        try:
            turn.acquire()
        except BaseException:
            self._senders -= 1
            self._settle()
            raise

    def end_turn(self) -> None:
        """Let the next greenlet send."""
        turn = self._turn
        assert turn is not None
        self._senders -= 1
        turn.release()
        self._settle()

    def write_in_turn(self, frame: bytes) -> None:
        """Send ``frame``; the greenlet has the turn. Otherwise as ``write``."""
        if self.shut:
            raise Disconnected("the websocket is closed")
        if self._rest:
            rest = self._rest
            self._rest = b""
            self._write_rest(memoryview(rest), True)
        self.sent += len(frame)
        self._write_rest(memoryview(frame), False)

    def _write_rest(self, rest: memoryview, begun: bool) -> None:
        stream = self._stream
        try:
            while rest:
                sent = stream.send_nowait(rest)
                if sent:
                    begun = True
                    self.progress = True
                    rest = rest[sent:]
                else:
                    stream.deadline = self._clock.now + self._timeout
                    try:
                        stream.wait_writable()
                    finally:
                        stream.deadline = 0.0
        except Disconnected:
            self.shut = True
            raise
        except BaseException:
            if begun:
                self._rest = bytes(rest)
            raise
        if self._pong or self._close:
            self._write_rest(memoryview(self._take_control()), True)

    def _take_control(self) -> bytes:
        control = self._pong + self._close
        self._pong = self._close = b""
        return control

    def _settle(self) -> None:
        if not self._senders:
            self._turn = None
            self.busy = bool(self._rest or self._pong or self._close)

    # What may wait for the next frame

    def hold(self, frame: bytes) -> bool:
        """Take ``frame``, to be sent with what follows it; false if that cannot be.

        It leaves with ``release``, before any other frame, and as soon as the loop
        runs. Whoever calls this is about to ask for more or to send more.
        """
        held = self.held
        size = len(frame)
        if self.busy or size > _HELD_FRAME_BYTES:
            return False
        if held is None:
            self.held = bytearray(frame)
            get_hub().loop.run_callback(self.release)
        elif len(held) + size > _HELD_BYTES:
            return False
        else:
            held += frame
        self.sent += size
        return True

    def release(self) -> None:
        """Send what is held. Never parks or raises."""
        held = self.held
        if held is None:
            return
        self.held = None
        try:
            sent = self._stream.send_nowait(memoryview(held))
        except Disconnected:
            # Whoever reads the connection learns it too.
            self.shut = True
            return
        if sent < len(held):
            self._rest = bytes(memoryview(held)[sent:])
            self.busy = True
            if self._backlog is None:
                self._begin_backlog().append(b"")

    # By those that cannot wait

    def write_pong(self, frame: bytes) -> None:
        """Send the answer to a ping, now or before the next frame.

        Only the latest one is kept, as RFC 6455 §5.5.3 allows. Raises Disconnected.
        """
        if not self._write_now(frame):
            self._pong = frame
            self.busy = True

    def write_close(self, frame: bytes) -> None:
        """Send a close frame, now or behind the frame in progress.

        Nothing can be sent afterwards. Raises Disconnected.
        """
        if not self._write_now(frame):
            self._close = frame
            self.busy = True
        self.shut = True

    def write_ping(self, frame: bytes) -> bool:
        """Send a ping if nothing is in its way. Raises Disconnected."""
        return self._write_now(frame)

    def flush(self) -> None:
        """Send what was kept, as far as the kernel takes it. Never parks.

        Raises Disconnected.
        """
        self.release()
        if self._senders or not self.busy:
            return
        rest = self._rest or self._take_control()
        self._rest = b""
        self.busy = False
        sent = self._stream.send_nowait(rest)
        if sent < len(rest):
            self._rest = rest[sent:]
            self.busy = True
        elif self._pong or self._close:
            self.busy = True

    def _write_now(self, frame: bytes) -> bool:
        """Send a short frame if nothing is in its way; return whether it is sent."""
        self.release()
        if self.busy:
            return False
        sent = self._stream.send_nowait(frame)
        if sent == 0:
            return False
        if sent < len(frame):
            self._rest = frame[sent:]
            self.busy = True
        return True

    # Broadcasts

    def push(self, frame: bytes) -> bool:
        """Send ``frame`` now or later; false if the peer is too slow for it.

        Never parks. Raises Disconnected.
        """
        if self.held is not None:
            self.release()
        sent = 0
        if self._backlog is None and not self.busy:
            sent = self._stream.send_nowait(frame)
            if sent == len(frame):
                self.sent += sent
                return True
        return self.push_rest(frame, sent)

    def push_rest(self, frame: bytes, sent: int) -> bool:
        """As ``push``, of a frame of which ``sent`` bytes are out."""
        backlog = self._backlog
        if backlog is None:
            if sent:
                self._rest = frame[sent:]
                self.busy = True
                frame = b""
            backlog = self._begin_backlog()
        if self._backlog_bytes + len(frame) > BACKLOG_BYTES:
            return False
        self._backlog_bytes += len(frame)
        backlog.append(frame)
        return True

    def _begin_backlog(self) -> deque[bytes]:
        self._backlog = backlog = deque[bytes]()
        self._backlog_bytes = 0
        gevent.spawn(self._send_backlog)
        return backlog

    def _send_backlog(self) -> None:
        backlog = self._backlog
        assert backlog is not None
        try:
            self.take_turn()
            try:
                while backlog:
                    frame = backlog.popleft()
                    self._backlog_bytes -= len(frame)
                    self.write_in_turn(frame)
            finally:
                self.end_turn()
        except Disconnected:
            pass  # whoever reads the connection learns it too
        finally:
            self._backlog = None
