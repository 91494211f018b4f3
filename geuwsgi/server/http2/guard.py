"""What a connection of HTTP/2 may cost before it has asked for anything. Pure.

h2 looks at the length of a frame when the frame is there whole, up to 16 MB; a client
that announces such frames and sends them slowly would have us keep all of it. And it
answers every ping: frames that ask for nothing, sent by the thousand, are work for
us and none for who sends them (CVE-2019-9511 to 9518).
"""

from __future__ import annotations

from geuwsgi.errors import RemoteProtocolError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME = 16384
_HEADER = 9

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _CONTINUATION = 0, 1, 3, 4, 9
_END_STREAM = 0x1
_END_HEADERS = 0x4

_FRAME_SIZE_ERROR = 0x6
_ENHANCE_YOUR_CALM = 0xB

#: Data frames of as many bytes are worth their work.
_WORTH_ITS_WORK = 512
#: Frames that ask for nothing: so many at once, and so many a second.
_BURST = 5_000.0
_A_SECOND = 1_000.0
#: Who takes as many bytes of an answer may tell us so once more.
_BYTES_A_FRAME = 1024


class FrameError(RemoteProtocolError):
    """``code`` is the error that the client is told."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class FrameGuard:
    """Follows the frames of a connection from its preface on."""

    __slots__ = ("_allowance", "_header", "_is_in_block", "_looked_at", "_skip")

    def __init__(self) -> None:
        self._skip = len(PREFACE)
        self._header = b""
        self._is_in_block = False
        self._allowance = _BURST
        self._looked_at = 0.0

    @property
    def is_within(self) -> bool:
        """Whether a frame, or the head of a request, has begun and not ended."""
        return self._skip > 0 or bool(self._header) or self._is_in_block

    def look(self, received: bytes, now: float = 0.0) -> None:
        """Raise FrameError if a frame is too long, or there are too many.

        ``now`` is monotonic.
        """
        position = self._skip
        end = len(received)
        cost = 0
        while position < end:
            wanted = _HEADER - len(self._header)
            self._header += received[position : position + wanted]
            position += wanted
            if len(self._header) < _HEADER:
                position = end
                break
            length = int.from_bytes(self._header[:3], "big")
            if length > MAX_FRAME:
                raise FrameError(f"frame of {length} bytes", _FRAME_SIZE_ERROR)
            cost += self._cost(self._header[3], self._header[4], length)
            self._header = b""
            position += length
        self._skip = position - end
        self._spend(cost, now)

    def _cost(self, kind: int, flags: int, length: int) -> int:
        if kind in (_HEADERS, _CONTINUATION):
            self._is_in_block = not flags & _END_HEADERS
            return kind == _CONTINUATION
        if kind == _DATA:
            return not (length >= _WORTH_ITS_WORK or flags & _END_STREAM)
        if kind == _SETTINGS:
            return 1 + length // 6
        return kind != _RST_STREAM  # those are counted by who answers the requests

    def _spend(self, cost: int, now: float) -> None:
        earned = max(now - self._looked_at, 0.0) * _A_SECOND
        self._looked_at = now
        self._allowance = min(self._allowance + earned, _BURST) - cost
        if self._allowance < 0:
            raise FrameError("too many frames that ask for nothing", _ENHANCE_YOUR_CALM)

    def taken(self, octets: int) -> None:
        """The client was sent ``octets`` of an answer: it may say that it has them."""
        self._allowance = min(self._allowance + octets / _BYTES_A_FRAME, _BURST)
