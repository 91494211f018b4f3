"""The chunked transfer coding of request bodies (RFC 9112 §7.1).

Strict, because a chunk size that two servers read differently smuggles a request:
a size is hexadecimal digits only, lines end in CRLF, extensions are skipped but
bounded and free of controls, trailers are checked for shape and dropped.
"""

from __future__ import annotations

import re

from geuwsgi.errors import RemoteProtocolError

_MAX_LINE = 4096
_MAX_TRAILER = 16384
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
# RFC 9112 §7.1.1: token [= token / quoted-string], with optional blanks.
_EXTENSIONS = re.compile(
    rb"(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb"(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb'|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t !-~\x80-\xff])*"))?)*\Z'
)
_TRAILER_FIELD = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\Z",
)
# RFC 9110 §6.5.1: whoever joins trailers to the head would frame the body anew.
_FRAMING_FIELD = re.compile(
    rb"(?:content[-_]length|transfer[-_]encoding|host):", re.IGNORECASE
)


class ChunkedDecoder:
    """Takes a chunked body in any split of its bytes and gives back the data.

    Feed bytes with ``feed``, which returns the decoded data so far; when
    ``complete`` is true, ``leftover`` holds the bytes that follow the body.
    """

    __slots__ = (
        "_buffer",
        "_failed",
        "_in_trailer",
        "_remaining",
        "_trailer_bytes",
        "complete",
        "leftover",
    )

    def __init__(self) -> None:
        self._buffer = b""
        # Bytes of the current chunk still to come, its CRLF included; 0 between.
        self._remaining = 0
        self._in_trailer = False
        self._trailer_bytes = 0
        self._failed = False
        self.complete = False
        self.leftover = b""

    @property
    def in_trailer(self) -> bool:
        """Whether the last chunk has been seen."""
        return self._in_trailer

    @property
    def announced(self) -> int:
        """Bytes of the chunk in progress that are still to come."""
        return max(0, self._remaining - 2)

    def feed(self, received: bytes) -> bytes:
        """Return the data in ``received``; raise RemoteProtocolError.

        After an error every call raises: where the body goes on is not known, and
        what is read as its end could be anything that the peer likes.
        """
        if self._failed:
            raise RemoteProtocolError("a chunked body goes on after an error")
        self._failed = True
        data = self._decode(received)
        self._failed = False
        return data

    def _decode(self, received: bytes) -> bytes:
        buffer = self._buffer + received if self._buffer else received
        position = 0
        pieces: list[bytes] = []
        while not self.complete:
            if self._remaining:
                position, more = self._take_data(buffer, position, pieces)
            else:
                position, more = self._take_line(buffer, position)
            if not more:
                break
        if self.complete:
            self.leftover = buffer[position:]
            self._buffer = b""
        else:
            self._buffer = buffer[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_data(
        self, buffer: bytes, position: int, pieces: list[bytes]
    ) -> tuple[int, bool]:
        available = len(buffer) - position
        data = self._remaining - 2
        if data > 0:
            taken = min(data, available)
            if taken:
                pieces.append(buffer[position : position + taken])
                position += taken
                available -= taken
                self._remaining -= taken
            if self._remaining > 2:
                return position, False
        if available < self._remaining:
            # Look at the first byte of the CRLF early: it may already be wrong.
            if available and buffer[position] != 0x0D:
                raise RemoteProtocolError("chunk data not followed by CRLF")
            return position, False
        if buffer[position : position + 2] != b"\r\n":
            raise RemoteProtocolError("chunk data not followed by CRLF")
        self._remaining = 0
        return position + 2, True

    def _take_line(self, buffer: bytes, position: int) -> tuple[int, bool]:
        end = buffer.find(b"\n", position)
        limit = _MAX_TRAILER if self._in_trailer else _MAX_LINE
        if end < 0:
            if len(buffer) - position > limit:
                raise RemoteProtocolError("chunk line too long")
            return position, False
        if end == position or buffer[end - 1] != 0x0D:
            raise RemoteProtocolError("chunk line not ended by CRLF")
        line = buffer[position : end - 1]
        if len(line) > limit:
            raise RemoteProtocolError("chunk line too long")
        if self._in_trailer:
            self._take_trailer(line)
        else:
            self._take_size(line)
        return end + 1, True

    def _take_size(self, line: bytes) -> None:
        match = _SIZE.match(line)
        if match is None or not _EXTENSIONS.match(line, match.end()):
            raise RemoteProtocolError(f"malformed chunk size: {line[:64]!r}")
        size = int(match.group(), 16)
        if size:
            self._remaining = size + 2
        else:
            self._in_trailer = True

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.complete = True
            return
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _MAX_TRAILER:
            raise RemoteProtocolError("trailer section too long", 431)
        if not _TRAILER_FIELD.match(line) or _FRAMING_FIELD.match(line):
            raise RemoteProtocolError(f"malformed trailer field: {line[:64]!r}")


def encode_chunk(data: bytes) -> bytes:
    """Return ``data``, which must not be empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


#: What ends a chunked body without trailers.
LAST_CHUNK = b"0\r\n\r\n"
