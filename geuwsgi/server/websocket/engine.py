"""One open websocket: messages in and out, pings, and the closing handshake.

``WebSocket`` joins the codec with a connection's stream. Receiving, sending and
closing are for any greenlet: one receives at a time, any number send. There is no
greenlet and no timer of its own; ``tick`` is called once a second for all of them.

States: OPEN → CLOSING (we sent a close frame) → CLOSED (the peer's close came, or the
connection is gone). Whatever ends a websocket, ``recv`` and ``send`` then raise
``WebSocketClosed`` with code and reason. Exceptions that others throw into a waiting
greenlet (``gevent.Timeout``, a kill) pass through and break nothing.

The descriptor stays open until ``finish``: applications wait on it with ``select``,
so a dead connection is shut down, which wakes them, and never closed under them.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

import gevent

from geuwsgi.errors import Disconnected, LocalProtocolError
from geuwsgi.protocol.websocket import (
    ABNORMAL_CLOSURE,
    BINARY,
    CLOSE,
    NEED_DATA,
    NORMAL_CLOSURE,
    PING,
    PONG,
    TEXT,
    MessageDecoder,
    WebSocketProtocolError,
    encode_close,
    encode_frame,
)
from geuwsgi.server.websocket.closed import WebSocketClosed
from geuwsgi.server.websocket.outbox import Outbox
from geuwsgi.server.websocket.unread import unread_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from geuwsgi.net.clock import Clock
    from geuwsgi.net.stream import Stream
    from geuwsgi.protocol.websocket_deflate import Deflater
    from geuwsgi.server.websocket.settings import WebSocketSettings

_OPEN: Final = 0
_CLOSING: Final = 1
_CLOSED: Final = 2

_RECEIVE_SIZE: Final = 65536
#: How much of a peer that goes on sending is read before its connection is closed.
_DISCARD_BYTES: Final = 1 << 20
_LINGER_S: Final = 2.0
_EMPTY_PING: Final = encode_frame(PING, b"")


class WebSocket:
    """An open websocket on ``stream``, whose handshake is done.

    ``received`` are bytes that came behind the handshake request. ``peekable`` is
    false where what the kernel holds is not what the peer said (TLS). ``opcode`` is the
    kind, TEXT or BINARY, of the message that ``recv`` returned last.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_decoder",
        "_deflater",
        "_heard",
        "_more",
        "_outbox",
        "_receiving",
        "_settings",
        "_silent",
        "_state",
        "_stream",
        "_unread",
        "close_code",
        "close_reason",
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
        self.opcode = TEXT
        self.subprotocol = subprotocol
        self.close_code = ABNORMAL_CLOSURE
        self.close_reason = ""
        self._stream = stream
        self._decoder = decoder
        self._settings = settings
        self._clock = clock
        self._deflater = deflater
        self._outbox = Outbox(stream, clock, settings.write_timeout)
        self._state = _OPEN
        self._receiving = False
        self._heard = False  # since the last tick
        self._more = False  # the last read was a full one
        self._silent = 0  # ticks
        self.peekable = peekable
        self._unread = 0  # bytes in the kernel when a tick last looked
        if received:
            decoder.feed(received)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._state == _OPEN

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

    def recv(self, *, leave_rest: bool = False) -> bytes:
        """Return the next message; parks the greenlet until there is one.

        ``leave_rest`` leaves in the kernel what follows the message, so that the
        descriptor stays readable; it costs a system call more. Raises
        WebSocketClosed at the end, and LocalProtocolError if another greenlet is
        receiving.
        """
        while True:
            message = self._next_message()
            if message is not None:
                return message
            if self._state == _CLOSED:
                raise self._closed()
            if leave_rest and self.peekable:
                self._park()
                message = self._peek()
                if message is not None:
                    return message
            else:
                self._fill()

    def recv_nowait(self) -> bytes | None:
        """Return a message if one is there, else None. Never parks.

        What follows the message stays in the kernel, so a greenlet that waits in
        ``select`` for the descriptor is told of it. Raises as ``recv`` does.
        """
        self._check_receiver()
        message = self._next_message()
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
            message = self._next_message()
            if message is not None:
                return message
            if self._state == _CLOSED:
                raise self._closed()

    def _next_message(self) -> bytes | None:
        """Return the next message of what was received; answer control frames."""
        decoder = self._decoder
        while True:
            try:
                kind = decoder.next()
            except WebSocketProtocolError as error:
                self._fail(error)
                raise self._closed() from error
            if kind == NEED_DATA:
                return None
            if kind > BINARY:
                self._answer(kind)
            elif self._state == _OPEN:
                self.opcode = kind
                message = decoder.payload
                decoder.payload = b""
                return message

    def _check_receiver(self) -> None:
        if self._receiving:
            raise LocalProtocolError("another greenlet receives from this websocket")

    def _fill(self) -> None:
        """Feed the decoder with what the peer sent, when it has sent something."""
        self._check_receiver()
        self._receiving = True
        try:
            if self._more:
                received = self._stream.recv(_RECEIVE_SIZE)
            else:
                received = self._stream.recv_after_wait(_RECEIVE_SIZE)
        except Disconnected as error:
            self._lose()
            raise self._closed() from error
        finally:
            self._receiving = False
        self._more = len(received) == _RECEIVE_SIZE
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

        None if it is not there whole; its beginning has been taken then. The
        decoder has nothing unread.
        """
        decoder = self._decoder
        recv = self._stream.socket.recv
        while True:
            try:
                peeked = recv(_RECEIVE_SIZE, socket.MSG_PEEK)
                if peeked:
                    decoder.feed(peeked)
                    kind = decoder.next()
                    left = decoder.take_back() if kind else 0
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
            if kind > BINARY:
                self._answer(kind)
                if self._state == _CLOSED:
                    raise self._closed()
            elif kind != NEED_DATA and self._state == _OPEN:
                self.opcode = kind
                message = decoder.payload
                decoder.payload = b""
                return message

    def _answer(self, kind: int) -> None:
        decoder = self._decoder
        if kind == PING:
            if self._state == _OPEN:
                try:
                    self._outbox.write_pong(encode_frame(PONG, decoder.payload))
                except Disconnected:
                    self._lose()
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
                self._outbox.write(encode_frame(opcode, payload))
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

    def push(self, frame: bytes, *, compressed: bool = False) -> bool:
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

    # Closing

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin the closing handshake. Never parks; does nothing if it began.

        Messages that other greenlets wait to send are not sent any more. Raises
        LocalProtocolError for a code that may not be sent.
        """
        if self._state != _OPEN:
            return
        frame = encode_close(code, reason)
        self.close_code = code
        self.close_reason = reason
        self._state = _CLOSING
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
        if self._state == _OPEN:
            self.close_code = error.close_code
            self.close_reason = str(error)
            self._send_close(encode_close(error.close_code, str(error)[:123]))
        self._end()

    def _end(self) -> None:
        """Both sides have said what they had to say."""
        self._state = _CLOSED
        if not self._outbox.busy:
            self._stream.shutdown_write()

    def _lose(self) -> None:
        self._state = _CLOSED
        self._outbox.shut = True

    def _vanish(self, reason: str) -> None:
        """Give the peer up, and wake whoever waits for it."""
        if self._state == _OPEN:
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
        if self._state == _OPEN:
            if self._heard or outbox.progress:
                self._heard = outbox.progress = False
                self._silent = 0
            else:
                self._silent += 1
                if 0 < self._settings.ping_after <= self._silent:
                    self._check_alive()
        elif self._state == _CLOSING:
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
