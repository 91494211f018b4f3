"""Frames that are too long, seen before they are collected. Pure.

h2 looks at the length of a frame when the frame is there whole, up to 16 MB; a client
that announces such frames and sends them slowly would have us keep all of it.
"""

from __future__ import annotations

from geuwsgi.errors import RemoteProtocolError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME = 16384
_HEADER = 9


class FrameGuard:
    """Follows the frames of a connection from its preface on."""

    __slots__ = ("_header", "_skip")

    def __init__(self) -> None:
        self._skip = len(PREFACE)
        self._header = b""

    def look(self, received: bytes) -> None:
        """Raise RemoteProtocolError if a frame in ``received`` is too long."""
        position = self._skip
        end = len(received)
        while position < end:
            wanted = _HEADER - len(self._header)
            self._header += received[position : position + wanted]
            position += wanted
            if len(self._header) < _HEADER:
                position = end
                break
            length = int.from_bytes(self._header[:3], "big")
            if length > MAX_FRAME:
                raise RemoteProtocolError(f"HTTP/2 frame of {length} bytes")
            self._header = b""
            position += length
        self._skip = position - end
