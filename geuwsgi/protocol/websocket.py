"""RFC 6455 frames and messages, the server's side: bytes in, messages out.

``MessageDecoder`` is fed with what the peer sent, in pieces of any size, and gives
whole messages and control frames one after the other. ``encode_frame`` and
``encode_close`` make the bytes to send. Nothing here knows a socket, a clock or an
application; one decoder holds everything that belongs to one connection.

How a decoder is driven::

    decoder.feed(received)
    while (kind := decoder.next()) != NEED_DATA:
        ...  # kind is TEXT, BINARY, PING, PONG or CLOSE; decoder.payload holds the rest

Invariants:

- Text is given as bytes that are known to be UTF-8. A byte that cannot be part of
  valid text is refused as soon as it is seen, not when its message ends.
- A message is never larger than ``max_size``. A frame that would make it larger is
  refused from its header alone; a compressed one while it is decompressed.
- What is kept between two calls is the message in progress plus less than one
  control frame. An idle decoder keeps nothing.
- After an error or a CLOSE, all further input is dropped.

The kinds are plain ints, and the class has fixed slots, because this file is
compiled as it stands where a compiler is there.
"""

from __future__ import annotations

from codecs import utf_8_decode
from struct import Struct
from typing import Final, Protocol

from geuwsgi.errors import LocalProtocolError, RemoteProtocolError
from geuwsgi.protocol.websocket_mask import unmask, unmask_part

NEED_DATA: Final = 0
TEXT: Final = 1
BINARY: Final = 2
PAUSED: Final = 3  # not an opcode
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

# RFC 6455 §7.4.1 and the IANA registry.
NORMAL_CLOSURE: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
NO_STATUS_RECEIVED: Final = 1005
ABNORMAL_CLOSURE: Final = 1006
INVALID_DATA: Final = 1007
MESSAGE_TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012

FIN: Final = 0x80
RSV1: Final = 0x40
_RSV23: Final = 0x30
_TEXT_FRAME: Final = FIN | TEXT
_BINARY_FRAME: Final = FIN | BINARY
_MASKED: Final = 0x80
_CONTROL_PAYLOAD_LIMIT: Final = 125
#: Fragments that one call of ``next`` takes at most.
_FRAGMENTS_AT_ONCE: Final = 256

# Where in the byte stream the decoder stands.
_BETWEEN_MESSAGES: Final = 0
_BETWEEN_FRAMES: Final = 1  # of a fragmented message
_IN_PAYLOAD: Final = 2
_ENDED: Final = 3

_SHORT_HEAD: Final = Struct("!BBH")
_LONG_HEAD: Final = Struct("!BBQ")
_LENGTH_16: Final = Struct("!H")
_LENGTH_64: Final = Struct("!Q")

# The two header bytes of short frames, made once: bytes((a, b)) costs 0.15 µs.
_TEXT_HEADS: Final = tuple(bytes((_TEXT_FRAME, n)) for n in range(126))
_BINARY_HEADS: Final = tuple(bytes((_BINARY_FRAME, n)) for n in range(126))


class WebSocketProtocolError(RemoteProtocolError):
    """The peer broke RFC 6455 or 7692, or sent more than it may.

    ``close_code`` is what the close frame tells it: 1002, 1007 or 1009.
    """

    def __init__(self, message: str, close_code: int = PROTOCOL_ERROR) -> None:
        super().__init__(message)
        self.close_code = close_code


class Inflate(Protocol):
    """What the decoder asks of a decompressor; see ``websocket_deflate``."""

    def decompress(self, data: bytes, limit: int) -> bytes:
        """Return what ``data`` inflates to; refuse more than ``limit`` bytes."""

    def finish(self, limit: int) -> bytes:
        """Return the rest of the message, at most ``limit`` bytes."""


class MessageDecoder:
    """Turns the bytes of one client into messages and control frames.

    ``max_size`` bounds a message in bytes, after decompression. ``inflate`` is the
    decompressor that the handshake agreed on, or None: then RSV1 is refused.

    After ``next`` returned TEXT, BINARY, PING or PONG, ``payload`` holds the bytes.
    After CLOSE, ``close_code`` and ``close_reason`` are what the peer gave, 1005
    and ``""`` if it gave nothing.
    """

    __slots__ = (
        "_compressed",
        "_data",
        "_fin",
        "_inflate",
        "_mask",
        "_max_size",
        "_message",
        "_opcode",
        "_pending_text",
        "_pos",
        "_remaining",
        "_state",
        "_wire_size",
        "close_code",
        "close_reason",
        "payload",
    )

    def __init__(self, max_size: int, inflate: Inflate | None = None) -> None:
        self.payload = b""
        self.close_code = NO_STATUS_RECEIVED
        self.close_reason = ""
        self._max_size = max_size
        self._inflate = inflate
        self._data = b""  # fed and not yet consumed, from _pos on
        self._pos = 0
        self._state = _BETWEEN_MESSAGES
        self._opcode = 0  # of the message in progress; 0 between messages
        self._compressed = False
        self._fin = False  # of the frame in progress
        self._remaining = 0  # payload bytes of it that have not been seen
        self._mask = b""
        self._message: bytearray | None = None  # the message in progress, unmasked
        self._wire_size = 0  # payload bytes of the message as they were sent
        self._pending_text = b""  # the beginning of an unfinished character

    def feed(self, data: bytes) -> None:
        """Take the next bytes from the peer.

        Call ``next`` until it returns NEED_DATA before feeding again; then only
        an incomplete header or control frame is copied.
        """
        if self._pos >= len(self._data):
            self._data = data
        else:
            self._data = self._data[self._pos :] + data
        self._pos = 0

    def take_unread(self) -> bytes:
        """Forget the fed bytes that ``next`` has not consumed; return them."""
        unread = self._data[self._pos :]
        self._data = b""
        self._pos = 0
        return unread

    def has_message(self) -> bool:
        """Whether one more message surely is there, short and whole, text or not."""
        data = self._data
        pos = self._pos
        return (
            pos + 6 <= len(data)
            and self._state == _BETWEEN_MESSAGES
            and _TEXT_FRAME <= data[pos] <= _BINARY_FRAME
            and _MASKED <= data[pos + 1] < _MASKED + 126
            and pos + 6 + data[pos + 1] - _MASKED <= len(data)
        )

    def next(self) -> int:
        """Return the kind of the next message or control frame, or NEED_DATA.

        PAUSED after many fragments that made no message (64 KiB hold ten thousand):
        let others run. Raises ``WebSocketProtocolError`` if the peer broke the rules.
        """
        data = self._data
        pos = self._pos
        size = len(data)
        if pos == size:
            self._data = b""  # an idle connection keeps no received bytes alive
            self._pos = 0
            return NEED_DATA
        # The usual case in one go: a short frame that is a whole message.
        if self._state == _BETWEEN_MESSAGES and size - pos >= 6:
            first = data[pos]
            if _TEXT_FRAME <= first <= _BINARY_FRAME:
                length = data[pos + 1] - _MASKED
                end = pos + 6 + length
                if 0 <= length < 126 and end <= size and length <= self._max_size:
                    payload = unmask(data[pos + 6 : end], data[pos + 2 : pos + 6])
                    if first == _TEXT_FRAME and not payload.isascii():
                        self._check_text(payload, True)
                    self._pos = end
                    self.payload = payload
                    return first & 0x0F
        return self._next()

    def _next(self) -> int:
        for _ in range(_FRAGMENTS_AT_ONCE):
            if self._state <= _BETWEEN_FRAMES:
                kind = self._read_header()
                if kind >= 0:
                    return kind
            if self._state == _ENDED:
                self._data = b""
                self._pos = 0
                return NEED_DATA
            if not self._read_payload():
                return NEED_DATA
            if self._fin:
                return self._end_message()
        return PAUSED if self._pos < len(self._data) else self._need_data()

    def _read_header(self) -> int:
        """Read a frame header, and the whole frame if it is a control frame.

        Returns what ``next`` shall return, or -1 to go on.
        """
        data = self._data
        pos = self._pos
        available = len(data) - pos
        if available < 2:
            return self._need_data()
        first = data[pos]
        opcode = first & 0x0F
        length = data[pos + 1]
        if first & _RSV23:
            raise self._broken(f"reserved bits in frame header: {first:#04x}")
        if length < _MASKED:
            raise self._broken("frame is not masked")
        length -= _MASKED
        if opcode >= CLOSE:
            return self._read_control(first, opcode, length)
        self._check_data_opcode(first, opcode)

        header_size = 6
        if length == 126:
            header_size = 8
            if available < 4:
                return self._need_data()
            length = _LENGTH_16.unpack_from(data, pos + 2)[0]
            if length < 126:
                raise self._broken(f"frame length {length} is not minimally encoded")
        elif length == 127:
            header_size = 14
            if available < 10:
                return self._need_data()
            length = _LENGTH_64.unpack_from(data, pos + 2)[0]
            if length >= 1 << 63:
                raise self._broken(f"frame length {length} has more than 63 bits")
            if length < 65536:
                raise self._broken(f"frame length {length} is not minimally encoded")
        if self._wire_size + length > self._wire_limit(first):
            raise self._too_big(self._wire_size + length)
        if available < header_size:
            return self._need_data()

        if opcode:
            self._opcode = opcode
            self._compressed = first & RSV1 != 0
        self._fin = first & FIN != 0
        self._mask = data[pos + header_size - 4 : pos + header_size]
        self._remaining = length
        self._wire_size += length
        self._pos = pos + header_size
        self._state = _IN_PAYLOAD
        return -1

    def _check_data_opcode(self, first: int, opcode: int) -> None:
        if opcode > BINARY:
            raise self._broken(f"reserved opcode {opcode:#x}")
        if opcode == 0:
            if not self._opcode:
                raise self._broken("continuation frame without a message")
            if first & RSV1:
                raise self._broken("RSV1 in a continuation frame")
        elif self._opcode:
            raise self._broken("new message inside a fragmented message")
        elif first & RSV1 and self._inflate is None:
            raise self._broken("RSV1 without a negotiated extension")

    def _wire_limit(self, first: int) -> int:
        if self._compressed or first & RSV1:
            # Deflate never grows a message by more than this; how much it
            # really holds is seen while it is decompressed.
            return self._max_size + (self._max_size >> 6) + 64
        return self._max_size

    def _read_control(self, first: int, opcode: int, length: int) -> int:
        if opcode > PONG:
            raise self._broken(f"reserved opcode {opcode:#x}")
        if first & RSV1:
            raise self._broken("RSV1 in a control frame")
        if not first & FIN:
            raise self._broken("fragmented control frame")
        if length > _CONTROL_PAYLOAD_LIMIT:
            raise self._broken("control frame longer than 125 bytes")
        data = self._data
        start = self._pos + 6
        end = start + length
        if len(data) < end:
            return self._need_data()
        payload = unmask(data[start:end], data[start - 4 : start])
        self._pos = end
        self.payload = payload
        if opcode == CLOSE:
            self._read_close(payload)
        return opcode

    def _read_close(self, payload: bytes) -> None:
        if len(payload) == 1:
            raise self._broken("close frame with half a code")
        if payload:
            code = payload[0] << 8 | payload[1]
            if not is_sendable_close_code(code):
                raise self._broken(f"close code {code} may not be sent")
            try:
                self.close_reason = payload[2:].decode()
            except UnicodeDecodeError:
                raise self._not_text() from None
            self.close_code = code
        self._state = _ENDED

    def _read_payload(self) -> bool:
        """Take what is there of the frame's payload; return whether it was all."""
        remaining = self._remaining
        pos = self._pos
        size = min(remaining, len(self._data) - pos)
        if size:
            self._pos = pos + size
            mask = self._mask
            piece = unmask_part(self._data, pos, pos + size, mask)
            if size < remaining:
                turn = size & 3
                self._mask = mask[turn:] + mask[:turn]
                remaining -= size
                self._remaining = remaining
            else:
                self._remaining = remaining = 0
            if self._compressed:
                room = self._max_size - self._collected()
                piece = self._decompress(piece, room)
            self._collect(piece, remaining == 0 and self._fin and not self._compressed)
        if remaining:
            self._need_data()
            return False
        self._state = _BETWEEN_FRAMES
        return True

    def _collect(self, piece: bytes, last: bool) -> None:
        if self._opcode == TEXT and (self._pending_text or not piece.isascii()):
            self._check_text(piece, last)
        message = self._message
        if message is not None:
            message += piece
        elif last:
            self.payload = piece  # the whole message in one frame: no copy
        else:
            self._message = bytearray(piece)

    def _collected(self) -> int:
        message = self._message
        return 0 if message is None else len(message)

    def _end_message(self) -> int:
        opcode = self._opcode
        message = self._message
        if self._compressed:
            piece = self._finish_inflating(self._max_size - self._collected())
            if opcode == TEXT:
                self._check_text(piece, True)
            if message:
                message += piece
                self.payload = bytes(message)
            else:
                self.payload = piece
            self._compressed = False
        elif message is not None:
            if self._pending_text:
                self._check_text(b"", True)
            self.payload = bytes(message)
        elif not self._wire_size:
            self.payload = b""
        self._message = None
        self._opcode = 0
        self._wire_size = 0
        self._state = _BETWEEN_MESSAGES
        return opcode

    def _decompress(self, piece: bytes, room: int) -> bytes:
        assert self._inflate is not None
        try:
            return self._inflate.decompress(piece, room)
        except WebSocketProtocolError:
            self._end()
            raise

    def _finish_inflating(self, room: int) -> bytes:
        assert self._inflate is not None
        try:
            return self._inflate.finish(room)
        except WebSocketProtocolError:
            self._end()
            raise

    def _check_text(self, piece: bytes, last: bool) -> None:
        pending = self._pending_text
        if pending:
            piece = pending + piece
        try:
            used = utf_8_decode(piece, "strict", last)[1]
        except UnicodeDecodeError:
            raise self._not_text() from None
        pending = piece[used:]
        # CPython waits for the third byte of a surrogate, in case it may pass it.
        if len(pending) == 2 and pending[0] == 0xED and pending[1] >= 0xA0:
            raise self._not_text()
        self._pending_text = pending

    def _need_data(self) -> int:
        if self._pos >= len(self._data):
            self._data = b""
            self._pos = 0
        return NEED_DATA

    def _end(self) -> None:
        self._state = _ENDED
        self._opcode = 0
        self._message = None
        self._data = b""
        self._pos = 0

    def _broken(self, message: str) -> WebSocketProtocolError:
        self._end()
        return WebSocketProtocolError(message)

    def _not_text(self) -> WebSocketProtocolError:
        self._end()
        return WebSocketProtocolError("text is not UTF-8", INVALID_DATA)

    def _too_big(self, size: int) -> WebSocketProtocolError:
        self._end()
        return WebSocketProtocolError(
            f"message of at least {size} bytes exceeds the limit of {self._max_size}",
            MESSAGE_TOO_BIG,
        )


def is_sendable_close_code(code: int) -> bool:
    """Whether a close frame may carry ``code`` (RFC 6455 §7.4, IANA registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def encode_frame(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """Return one final frame that carries the whole of ``payload``.

    ``compressed`` says that the payload went through permessage-deflate. The
    lengths of control frames are the caller's to keep at 125 bytes at most.
    """
    size = len(payload)
    if size < 126 and not compressed:
        if opcode == TEXT:
            return _TEXT_HEADS[size] + payload
        if opcode == BINARY:
            return _BINARY_HEADS[size] + payload
    first = FIN | RSV1 | opcode if compressed else FIN | opcode
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return _SHORT_HEAD.pack(first, 126, size) + payload
    return _LONG_HEAD.pack(first, 127, size) + payload


def encode_close(code: int = NORMAL_CLOSURE, reason: str = "") -> bytes:
    """Return a close frame.

    1005 stands for a frame without a code. Raises ``LocalProtocolError`` if the
    code may not be sent, or if the reason is longer than 123 bytes of UTF-8.
    """
    if code == NO_STATUS_RECEIVED and not reason:
        return b"\x88\x00"
    if not is_sendable_close_code(code):
        raise LocalProtocolError(f"close code {code} may not be sent")
    payload = _LENGTH_16.pack(code) + reason.encode()
    if len(payload) > _CONTROL_PAYLOAD_LIMIT:
        raise LocalProtocolError(f"close reason is longer than 123 bytes: {reason!r}")
    return bytes((FIN | CLOSE, len(payload))) + payload
