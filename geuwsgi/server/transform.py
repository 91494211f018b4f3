"""Responses whose bodies are changed, or read along, on their way out.

Most exchanges are not transformed and pay one comparison for those that are: an
exchange gets a ``Pipeline`` only when a transformation is added to it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from typing import Protocol

from geuwsgi.errors import LocalProtocolError
from geuwsgi.server.exchange import Exchange
from geuwsgi.server.static.coding import accepted_codings

Headers = list[tuple[str, str]]

_BLOCK = 65536
_BODILESS = ("204", "304")


class Transformation(Protocol):
    """Takes a body in pieces and gives another, or the same."""

    #: Whether the length of the body may change.
    changes_body: bool

    def begin(self, exchange: Exchange) -> bool:
        """Look at the head, ``exchange.status`` and ``headers``, and change it.

        False: this response is not transformed, ``feed`` will not be called.
        """

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to send for a piece of the body; empty if they come later."""

    def end(self) -> bytes:
        """The bytes to send after the last piece."""


class Pipeline:
    """The transformations of one exchange, in their order.

    The exchange hands over what it is told to send. What comes out of the last
    transformation is sent by the exchange's own methods, while ``passing``.
    """

    __slots__ = ("begun", "passing", "steps")

    def __init__(self) -> None:
        self.steps: list[Transformation] = []
        self.begun = False
        self.passing = False

    def write(self, exchange: Exchange, chunk: bytes) -> None:
        if not chunk or exchange.upgraded or exchange.complete:
            return
        self._begin(exchange)
        self._pass(exchange.write, self._feed(chunk))

    def write_whole(self, exchange: Exchange, body: bytes) -> None:
        if exchange.upgraded or exchange.complete:
            return
        self._begin(exchange)
        self._pass(exchange.write_whole, self._feed(body) + self._end())

    def finish(self, exchange: Exchange) -> None:
        if exchange.upgraded or exchange.complete:
            return
        self._begin(exchange)
        rest = self._end()
        if rest and not exchange.headers_sent:
            self._pass(exchange.write_whole, rest)
            return
        if rest:
            self._pass(exchange.write, rest)
        self._pass(exchange.finish)

    def send_file(self, exchange: Exchange, fd: int, offset: int, count: int) -> None:
        while count and not exchange.complete:
            block = os.pread(fd, min(count, _BLOCK), offset)
            if not block:
                raise LocalProtocolError(f"file ended {count} bytes early")
            self.write(exchange, block)
            offset += len(block)
            count -= len(block)

    def _pass(self, method: Callable[..., None], *octets: bytes) -> None:
        self.passing = True
        try:
            method(*octets)
        finally:
            self.passing = False

    def _begin(self, exchange: Exchange) -> None:
        """Have each transformation look at the head, once, before it is sent."""
        if self.begun:
            return
        self.begun = True
        if exchange.head is None or exchange.headers_sent:
            self.steps = []
            return
        bodiless = exchange.status[:3] in _BODILESS or exchange.method == "HEAD"
        kept = []
        for transformation in self.steps:
            if bodiless or not transformation.begin(exchange):
                continue
            kept.append(transformation)
            if transformation.changes_body:
                exchange.headers = [
                    field
                    for field in exchange.headers or ()
                    if field[0].lower() != "content-length"
                ]
        self.steps = kept
        # What begin() did to status and headers is not rendered yet.
        exchange.replaceable = True
        exchange.start_response(exchange.status, exchange.headers or [])
        exchange.replaceable = False

    def _feed(self, chunk: bytes) -> bytes:
        for transformation in self.steps:
            if not chunk:
                break
            chunk = transformation.feed(chunk)
        return chunk

    def _end(self) -> bytes:
        rest = b""
        for transformation in self.steps:
            if rest:
                rest = transformation.feed(rest)
            rest += transformation.end()
        self.steps = []
        return rest


def add_transformation(exchange: Exchange, transformation: Transformation) -> None:
    """Have the body of ``exchange`` go through ``transformation`` as well.

    Before the response is started; afterwards it does nothing.
    """
    if exchange.transformations is None:
        exchange.transformations = Pipeline()
    exchange.transformations.steps.append(transformation)


class Gzip:
    """Compresses, if the client takes gzip and nobody has encoded the body before.

    With ``marker`` only responses that carry the field ``uWSGI-Encoding: gzip`` are
    compressed, and the field is removed (uWSGI: http-auto-gzip).
    """

    changes_body = True

    def __init__(self, *, marker: bool = False) -> None:
        self._marker = marker
        # 31: with the header and trailer of gzip.
        self._compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
        self._is_stream = False

    def begin(self, exchange: Exchange) -> bool:
        headers = exchange.headers or []
        names = {name.lower(): value for name, value in headers}
        if self._marker:
            if names.get("uwsgi-encoding", "").lower() != "gzip":
                return False
            headers = [
                field for field in headers if field[0].lower() != "uwsgi-encoding"
            ]
        # A range is one of the bytes as they are.
        fits = "content-encoding" not in names and "content-range" not in names
        if fits:
            headers = [*headers, ("Vary", "Accept-Encoding")]
        accepted = str(exchange.environ.get("HTTP_ACCEPT_ENCODING", ""))
        takes = any(coding == "gzip" for coding, _ in accepted_codings(accepted))
        if not fits or not takes:
            exchange.headers = headers
            return False
        # A strong tag promises the same bytes (RFC 9110 §8.8.3.3).
        exchange.headers = [
            (name, f"W/{value}")
            if name.lower() == "etag" and not value.startswith("W/")
            else (name, value)
            for name, value in headers
        ]
        exchange.headers.append(("Content-Encoding", "gzip"))
        # Without a length it may be events that somebody waits for.
        self._is_stream = "content-length" not in names
        return True

    def feed(self, chunk: bytes) -> bytes:
        compressed = self._compressor.compress(chunk)
        if self._is_stream:
            compressed += self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return compressed

    def end(self) -> bytes:
        return self._compressor.flush()


class Upper:
    """Makes ASCII letters capitals (uWSGI: toupper, an example of a transformation)."""

    changes_body = False

    def begin(self, exchange: Exchange) -> bool:
        return True

    def feed(self, chunk: bytes) -> bytes:
        return chunk.upper()

    def end(self) -> bytes:
        return b""


class Whole:
    """Holds the body back until it is whole, then sends what ``change`` makes of it.

    A body longer than ``limit`` is sent as it is.
    """

    changes_body = True

    def __init__(self, change: Callable[[bytes], bytes], limit: int) -> None:
        self._change = change
        self._limit = limit
        self._held: list[bytes] | None = []
        self._size = 0

    def begin(self, exchange: Exchange) -> bool:
        return True

    def feed(self, chunk: bytes) -> bytes:
        if self._held is None:
            return chunk
        self._held.append(chunk)
        self._size += len(chunk)
        if self._size <= self._limit:
            return b""
        held = b"".join(self._held)
        self._held = None
        return held

    def end(self) -> bytes:
        if self._held is None:
            return b""
        held, self._held = b"".join(self._held), None
        return self._change(held)


class Copy:
    """Passes the body on and gives ``keep`` a copy of it when it is whole.

    Only of responses with status 200, and up to ``limit`` bytes.
    """

    changes_body = False

    def __init__(self, keep: Callable[[bytes], None], limit: int) -> None:
        self._keep = keep
        self._limit = limit
        self._copied: list[bytes] | None = []
        self._size = 0

    def begin(self, exchange: Exchange) -> bool:
        return exchange.status.startswith("200")

    def feed(self, chunk: bytes) -> bytes:
        if self._copied is not None:
            self._copied.append(chunk)
            self._size += len(chunk)
            if self._size > self._limit:
                self._copied = None
        return chunk

    def end(self) -> bytes:
        if self._copied is not None:
            self._keep(b"".join(self._copied))
            self._copied = None
        return b""


def compress_marked(exchange: Exchange) -> bool:
    """A stage: compress what the application marks (uWSGI: http-auto-gzip)."""
    add_transformation(exchange, Gzip(marker=True))
    return False
