"""One open websocket: messages in and out.

``WebSocket`` joins the codec with a connection's stream. Receiving, sending and
closing are for any greenlet: one receives at a time, any number send. There is no
greenlet of its own. Exceptions that others throw into a waiting greenlet
(``gevent.Timeout``, a kill) pass through and break nothing.

Messages that came together are often answered together. While a further one has been
received whole, what is sent is held until the last is answered, the greenlet waits for
anything, or half a millisecond has passed and it sends or receives again: an
application that computes longer than that for each message finds nothing held.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Final

from gevent import get_hub

from geuwsgi.errors import Disconnected, LocalProtocolError
from geuwsgi.protocol.websocket import (
    BINARY,
    CLOSE,
    NEED_DATA,
    PAUSED,
    PING,
    PONG,
    TEXT,
    MessageDecoder,
    WebSocketProtocolError,
    encode_close,
    encode_frame,
)
from geuwsgi.server.websocket.life import CLOSED, OPEN, Life

if TYPE_CHECKING:
    from collections.abc import Callable

    from geuwsgi.net.clock import Clock
    from geuwsgi.net.stream import Stream
    from geuwsgi.protocol.websocket_deflate import Deflater
    from geuwsgi.server.websocket.settings import WebSocketSettings

_RECEIVE_SIZE: Final = 65536
# C integers, where this file is compiled.
_OPEN: Final = OPEN
_CLOSED: Final = CLOSED
_NOTHING: Final = NEED_DATA
_LAST_MESSAGE: Final = BINARY
_PAUSED: Final = PAUSED
_PING: Final = PING
#: Messages, or pings, of one peer that are handled before others have their turn. So
#: many bytes of a message count as one more.
_FAIR_STREAK: Final = 64
_FAIR_SHIFT: Final = 14
_PINGS_AT_ONCE: Final = 256
_HOLD_S: Final = 0.0005


def _let_others_run() -> None:
    """Park the greenlet for one round of the loop, in which the kernel is asked, too.

    Not ``gevent.sleep(0)``: fifty of its turns may pass before the loop looks who else
    has something to say, and each may be 64 messages, or 1 MiB to inflate.
    """
    hub = get_hub()
    timer = hub.loop.timer(0.0)
    try:
        hub.wait(timer)
    finally:
        timer.close()


class WebSocket(Life):
    """An open websocket on ``stream``, whose handshake is done.

    ``received`` are bytes that came behind the handshake request. ``peekable`` is
    false where what the kernel holds is not what the peer said (TLS). ``opcode`` is the
    kind, TEXT or BINARY, of the message that ``recv`` returned last.
    """

    __slots__ = (
        "__weakref__",
        "_decoder",
        "_deflater",
        "_hold_until",
        "_paused",
        "_streak",
        "opcode",
        "peekable",
        "subprotocol",
    )

    def __init__(
        self,
        stream: Stream,
        decoder: MessageDecoder,
        settings: WebSocketSettings,
        clock: Clock,
        *,
        deflater: Deflater | None = None,
        subprotocol: str | None = None,
        received: bytes = b"",
        peekable: bool = True,
    ) -> None:
        super().__init__(stream, settings, clock)
        self.opcode = TEXT
        self.subprotocol = subprotocol
        self._decoder = decoder
        self._deflater = deflater
        self._hold_until = 0.0  # 0: what is sent leaves at once
        self._paused = False  # the decoder has more, but others should run first
        self._streak = 0  # messages received without waiting
        self.peekable = peekable
        if received:
            decoder.feed(received)

    @property
    def bytes_sent(self) -> int:
        return self._outbox.sent

    def move(self, make: Callable[[bytes], Stream]) -> bool:
        """Go on with another stream, one that can be peeked at.

        ``make`` makes it, of the bytes that were received and not looked at. False,
        and nothing is made, if a greenlet is receiving or something is being sent.
        """
        if self._receiving or self._outbox.busy or self._state != _OPEN:
            return False
        self._stream = stream = make(self._decoder.take_unread())
        self._outbox.move(stream)
        self.peekable = True
        return True

    # Receiving

    def recv(self, leave_rest: bool = False) -> bytes:
        """Return the next message; parks the greenlet until there is one.

        ``leave_rest`` leaves in the kernel what follows the message, so that the
        descriptor stays readable; it costs a system call more. Raises
        WebSocketClosed at the end, and LocalProtocolError if another greenlet is
        receiving.
        """
        decoder = self._decoder
        if self._streak >= _FAIR_STREAK:
            self._streak = 0
            _let_others_run()
        while True:
            message = self._next_message()
            if message is not None:
                self._streak += 1 + (len(message) >> _FAIR_SHIFT)
                if decoder.has_message():
                    self._may_hold()
                else:
                    self._hold_until = 0.0
                return message
            self._hold_until = 0.0
            self._outbox.release()
            if self._state == _CLOSED:
                raise self._closed()
            if self._paused:
                self._check_receiver()
                _let_others_run()
            elif leave_rest and self.peekable:
                self._park()
                message = self._peek()
                if message is not None:
                    return message
            else:
                self._fill()

    def _may_hold(self) -> None:
        """Note that another message follows the one that is returned now."""
        if self._outbox.held is None:
            self._hold_until = monotonic() + _HOLD_S
        elif monotonic() >= self._hold_until:
            self._outbox.release()
            self._hold_until = monotonic() + _HOLD_S

    def recv_nowait(self) -> bytes | None:
        """Return a message if one is there, else None. Never parks.

        What follows the message stays in the kernel, so a greenlet that waits in
        ``select`` for the descriptor is told of it. Raises as ``recv`` does.
        """
        self._check_receiver()
        self._hold_until = 0.0
        message = self._next_of_all()
        if message is not None:
            return message
        if self._state == _CLOSED:
            raise self._closed()
        if self.peekable:
            return self._peek()
        while True:
            try:
                received = self._stream.recv_nowait(_RECEIVE_SIZE)
            except Disconnected as error:
                self._lose()
                raise self._closed() from error
            if received is None:
                return None
            self._take(received)
            message = self._next_of_all()
            if message is not None:
                return message
            if self._state == _CLOSED:
                raise self._closed()

    def _next_of_all(self) -> bytes | None:
        """Return the next message of what was received, however much that is."""
        message = self._next_message()
        while message is None and self._paused:
            message = self._next_message()
        return message

    def _next_message(self) -> bytes | None:
        """Return the next message of what was received; answer control frames.

        None if there is none, or, with ``_paused``, after something behind which
        others should run first: many fragments or pings, or a message that came
        after our close frame and that nobody wants any more.
        """
        decoder = self._decoder
        pings = _FAIR_STREAK if self._paused else 0
        self._paused = False
        while True:
            try:
                kind = decoder.next()
            except WebSocketProtocolError as error:
                self._fail(error)
                raise self._closed() from error
            if kind == _PING and pings >= _FAIR_STREAK:
                # RFC 6455 §5.5.3: of a flood of pings the latest is answered.
                latest = decoder.payload
                pings += 1
                if pings < _PINGS_AT_ONCE:
                    continue
                self._pong(latest)
                self._paused = True
                return None
            if kind <= _PAUSED and pings > _FAIR_STREAK:
                self._pong(latest)
                pings = 0
            if kind == _NOTHING:
                return None
            if kind == _PAUSED:
                self._paused = True
                return None
            if kind > _LAST_MESSAGE:
                pings += kind == _PING
                self._answer(kind)
                continue
            message = decoder.payload
            decoder.payload = b""
            if self._state != _OPEN:
                self._paused = True
                return None
            self.opcode = kind
            return message

    def _check_receiver(self) -> None:
        if self._receiving:
            raise LocalProtocolError("another greenlet receives from this websocket")

    def _fill(self) -> None:
        """Feed the decoder with what the peer sent, when it has sent something."""
        self._check_receiver()
        self._streak = 0
        self._receiving = True
        try:
            # Also behind a full read, where more is there for sure: a peer that
            # always sends would otherwise never let others run.
            received = self._stream.recv_after_wait(_RECEIVE_SIZE)
        except Disconnected as error:
            self._lose()
            raise self._closed() from error
        finally:
            self._receiving = False
        self._take(received)

    def _take(self, received: bytes) -> None:
        if not received:
            self._lose()
            raise self._closed()
        self._heard = True
        self._decoder.feed(received)

    def _park(self) -> None:
        self._check_receiver()
        self._receiving = True
        try:
            self._stream.wait_readable()
        except Disconnected as error:
            self._lose()
            raise self._closed() from error
        finally:
            self._receiving = False

    def _peek(self) -> bytes | None:
        """Take one message out of the kernel, and nothing behind it.

        None if it is not there whole; its beginning has been taken then. None also
        behind many pings or fragments, of which the rest is left, too: the descriptor
        stays readable, and others run before it is looked at again. The decoder has
        nothing unread.
        """
        decoder = self._decoder
        recv = self._stream.socket.recv
        for _ in range(_FAIR_STREAK):
            try:
                peeked = recv(_RECEIVE_SIZE, socket.MSG_PEEK)
                if peeked:
                    decoder.feed(peeked)
                    kind = decoder.next()
                    left = len(decoder.take_unread()) if kind else 0
                    recv(len(peeked) - left)
            except BlockingIOError:
                return None
            except OSError as error:
                self._lose()
                raise self._closed() from error
            except WebSocketProtocolError as error:
                self._fail(error)
                raise self._closed() from error
            if not peeked:
                self._lose()
                raise self._closed()
            self._heard = True
            if kind == _PAUSED:
                return None
            if kind > _LAST_MESSAGE:
                self._answer(kind)
                if self._state == _CLOSED:
                    raise self._closed()
            elif kind != _NOTHING and self._state == _OPEN:
                self.opcode = kind
                message = decoder.payload
                decoder.payload = b""
                return message
        return None

    def _pong(self, payload: bytes) -> None:
        if self._state == _OPEN:
            try:
                self._outbox.write_pong(encode_frame(PONG, payload))
            except Disconnected:
                self._lose()

    def _answer(self, kind: int) -> None:
        decoder = self._decoder
        if kind == _PING:
            self._pong(decoder.payload)
        elif kind == CLOSE:
            if self._state == _OPEN:
                self.close_code = decoder.close_code
                self.close_reason = decoder.close_reason
                self._send_close(encode_close(decoder.close_code, decoder.close_reason))
            self._end()

    # Sending

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send a message; parks the greenlet while the peer is slow.

        Text must be UTF-8. Messages of one greenlet arrive in the order it sent
        them. Raises WebSocketClosed. A greenlet that is killed while it waits may
        or may not have sent its message.
        """
        if self._state != _OPEN:
            raise self._closed()
        deflater = self._deflater
        try:
            if deflater is None or len(payload) < deflater.threshold:
                frame = encode_frame(opcode, payload)
                if not (
                    self._hold_until
                    and monotonic() < self._hold_until
                    and self._outbox.hold(frame)
                ):
                    self._outbox.write(frame)
            else:
                self._send_compressed(deflater, opcode, payload)
        except Disconnected as error:
            if self._state == _OPEN:
                self._lose()
            raise self._closed() from error

    def _send_compressed(self, deflater: Deflater, opcode: int, payload: bytes) -> None:
        outbox = self._outbox
        # What the compressor remembers must be what the peer gets, in that order.
        outbox.take_turn()
        try:
            frame = encode_frame(opcode, deflater.compress(payload), compressed=True)
            try:
                outbox.write_in_turn(frame)
            except BaseException:
                deflater.forget()
                raise
        finally:
            outbox.end_turn()

    def push(self, frame: bytes, compressed: bool = False) -> bool:
        """Send a frame made elsewhere, now or when the peer can take it.

        For broadcasts. Never parks. Returns false if the websocket is closed, or is
        closed now because its peer reads too little of what is pushed.
        """
        if self._state != _OPEN:
            return False
        if compressed and self._deflater is not None:
            self._deflater.forget()
        try:
            if self._outbox.push(frame):
                return True
        except Disconnected:
            self._lose()
            return False
        self._vanish("the peer reads too slowly")
        return False

    def window_bits_for(self, payload: bytes) -> int:
        """Return the window to compress ``payload`` with, 0: do not compress it."""
        deflater = self._deflater
        if deflater is None or len(payload) < deflater.threshold:
            return 0
        return deflater.bits

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping, unless earlier frames are still in its way.

        Raises LocalProtocolError for more than 125 bytes, WebSocketClosed.
        """
        if len(payload) > 125:
            raise LocalProtocolError("ping payload is longer than 125 bytes")
        if self._state != _OPEN:
            raise self._closed()
        try:
            self._outbox.write_ping(encode_frame(PING, payload))
        except Disconnected as error:
            self._lose()
            raise self._closed() from error
