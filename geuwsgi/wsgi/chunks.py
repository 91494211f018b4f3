"""Request bodies in the pieces that the client made (uWSGI: chunked_read).

``wsgi.input`` does not tell where a chunk ends; applications that get messages in
chunks want to know.
"""

from __future__ import annotations

from typing import Protocol

from geuwsgi.errors import Disconnected, RemoteProtocolError
from geuwsgi.wsgi.input import ChunkedInput

_BLOCK = 65536
_MAX_LINE = 4096


class NowaitSource(Protocol):
    """The side of a stream that is read without waiting."""

    def recv_nowait(self, size: int) -> bytes | None: ...


class ChunkReader:
    """Reads ``body``, from which nothing was read yet, chunk by chunk.

    A chunk of more than ``limit`` bytes is refused.
    """

    __slots__ = ("_body", "_buffer", "_decoder", "_limit", "_needed", "_source")

    def __init__(self, body: ChunkedInput, source: NowaitSource, limit: int) -> None:
        self._body = body
        self._source = source
        self._limit = limit
        self._decoder, self._buffer = body.hand_over()
        self._needed = 0  # bytes of the chunk that has begun, its CRLF included

    def read(self) -> bytes:
        """Return the next chunk, b"" at the end; parks until it is there whole.

        Raises Disconnected, and RemoteProtocolError for a body that is malformed or
        a chunk that is too large.
        """
        while (chunk := self._next()) is None:
            self._buffer += self._body._recv(_BLOCK)
        return chunk

    def read_nowait(self) -> bytes | None:
        """As ``read``, but return None where that would wait."""
        body = self._body
        if body.before_first_read is not None:
            body.before_first_read()
            body.before_first_read = None
        while (chunk := self._next()) is None:
            received = self._source.recv_nowait(_BLOCK)
            if received is None:
                return None
            if not received:
                raise Disconnected("the client closed within the request body")
            self._buffer += received
        return chunk

    def _next(self) -> bytes | None:
        """Return a chunk of what is there, None if more is needed."""
        decoder = self._decoder
        while not decoder.complete:
            if self._needed:
                if len(self._buffer) < self._needed:
                    return None
                return decoder.feed(self._take(self._needed))
            end = self._buffer.find(b"\n") + 1
            if not end:
                if len(self._buffer) > _MAX_LINE:
                    raise RemoteProtocolError("chunk line too long")
                return None
            self._take_line(self._take(end))
        if not self._body.complete:
            self._body.complete = True
            decoder.leftover = self._buffer
            self._buffer = b""
        return b""

    def _take_line(self, line: bytes) -> None:
        decoder = self._decoder
        in_trailer = decoder.in_trailer
        decoder.feed(line)
        if in_trailer:
            return
        size = int(line.split(b";")[0], 16)
        if size > self._limit:
            raise RemoteProtocolError(
                f"chunk of {size} bytes, more than {self._limit}", 413
            )
        if size:
            self._needed = size + 2

    def _take(self, size: int) -> bytes:
        taken = self._buffer[:size]
        self._buffer = self._buffer[size:]
        self._needed = 0
        return taken
