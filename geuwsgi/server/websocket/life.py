"""How a websocket lives and ends: its state, its pings, the closing handshake.

States: OPEN → CLOSING (we sent a close frame) → CLOSED (the peer's close came, or the
connection is gone). Whatever ends a websocket, ``recv`` and ``send`` then raise
``WebSocketClosed`` with code and reason.

The descriptor stays open until ``finish``: applications wait on it with ``select``,
so a dead connection is shut down, which wakes them, and never closed under them.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

import gevent

from geuwsgi.errors import Disconnected
from geuwsgi.protocol.websocket import (
    ABNORMAL_CLOSURE,
    NORMAL_CLOSURE,
    PING,
    WebSocketProtocolError,
    encode_close,
    encode_frame,
)
from geuwsgi.server.websocket.closed import WebSocketClosed
from geuwsgi.server.websocket.outbox import Outbox
from geuwsgi.server.websocket.unread import unread_bytes

if TYPE_CHECKING:
    from geuwsgi.net.clock import Clock
    from geuwsgi.net.stream import Stream
    from geuwsgi.server.websocket.settings import WebSocketSettings

OPEN: Final = 0
CLOSING: Final = 1
CLOSED: Final = 2

#: How much of a peer that goes on sending is read before its connection is closed.
_DISCARD_BYTES: Final = 1 << 20
_LINGER_S: Final = 2.0
_EMPTY_PING: Final = encode_frame(PING, b"")


class Life:
    """The part of a websocket that knows whether it is open.

    There is no timer of its own: ``tick`` is called once a second.
    """

    __slots__ = (
        "_clock",
        "_heard",
        "_outbox",
        "_receiving",
        "_settings",
        "_silent",
        "_state",
        "_stream",
        "_unread",
        "close_code",
        "close_reason",
    )

    def __init__(
        self, stream: Stream, settings: WebSocketSettings, clock: Clock
    ) -> None:
        self.close_code = ABNORMAL_CLOSURE
        self.close_reason = ""
        self._stream = stream
        self._settings = settings
        self._clock = clock
        self._outbox = Outbox(stream, clock, settings.write_timeout)
        self._state = OPEN
        self._receiving = False
        self._heard = False  # since the last tick
        self._silent = 0  # ticks
        self._unread = 0  # bytes in the kernel when a tick last looked

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._state == OPEN

    def recv(self) -> bytes:
        """Return the next message. Raises WebSocketClosed at the end."""
        raise NotImplementedError

    # Closing

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin the closing handshake. Never parks; does nothing if it began.

        Messages that other greenlets wait to send are not sent any more. Raises
        LocalProtocolError for a code that may not be sent.
        """
        if self._state != OPEN:
            return
        frame = encode_close(code, reason)
        self.close_code = code
        self.close_reason = reason
        self._state = CLOSING
        self._silent = 0
        self._send_close(frame)

    def finish(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """End the websocket with its connection; the application is done with it.

        Parks the greenlet, which is the connection's, until the peer has answered
        the close frame, at most ``close_within`` seconds.
        """
        stream = self._stream
        try:
            self.close(code, reason)
            if self._receiving:
                # A greenlet the application left behind: it gets its exception.
                stream.expire()
                gevent.sleep(0)
            with contextlib.suppress(WebSocketClosed):
                while True:
                    self.recv()
        finally:
            self._lose()
            stream.deadline = self._clock.now + _LINGER_S
            stream.half_close_and_drain(_DISCARD_BYTES)

    def _send_close(self, frame: bytes) -> None:
        try:
            self._outbox.write_close(frame)
        except Disconnected:
            self._lose()

    def _fail(self, error: WebSocketProtocolError) -> None:
        """Tell the peer what it did wrong and stop listening to it."""
        if self._state == OPEN:
            self.close_code = error.close_code
            self.close_reason = str(error)
            self._send_close(encode_close(error.close_code, str(error)[:123]))
        self._end()

    def _end(self) -> None:
        """Both sides have said what they had to say."""
        self._state = CLOSED
        if not self._outbox.busy:
            self._stream.shutdown_write()

    def _lose(self) -> None:
        self._state = CLOSED
        self._outbox.shut = True

    def _vanish(self, reason: str) -> None:
        """Give the peer up, and wake whoever waits for it."""
        if self._state == OPEN:
            self.close_reason = reason
        self._lose()
        # Not closed: the number of the descriptor must not become another's.
        with contextlib.suppress(OSError):
            self._stream.socket.shutdown(socket.SHUT_RDWR)

    def _closed(self) -> WebSocketClosed:
        return WebSocketClosed(self.close_code, self.close_reason)

    # Time

    def tick(self) -> None:
        """Look after the connection. Called once a second, in the hub."""
        outbox = self._outbox
        if outbox.busy:
            try:
                outbox.flush()
            except Disconnected:
                self._vanish("the connection broke")
                return
        if self._state == OPEN:
            if self._heard or outbox.progress:
                self._heard = outbox.progress = False
                self._silent = 0
            else:
                self._silent += 1
                if 0 < self._settings.ping_after <= self._silent:
                    self._check_alive()
        elif self._state == CLOSING:
            self._silent += 1
            if self._silent > self._settings.close_within:
                self._vanish("no answer to the close frame")
        elif outbox.shut and not outbox.busy:
            self._stream.shutdown_write()

    def _check_alive(self) -> None:
        settings = self._settings
        # While nobody receives, the answers to pings pile up in the kernel.
        if not self._receiving:
            unread = unread_bytes(self._stream.fileno())
            if unread != self._unread:
                self._unread = unread
                self._silent = 0
                return
        if self._silent == settings.ping_after:
            with contextlib.suppress(Disconnected):
                self._outbox.write_ping(_EMPTY_PING)
        elif self._silent >= settings.ping_after + settings.pong_within:
            self._vanish("no answer to a ping")
