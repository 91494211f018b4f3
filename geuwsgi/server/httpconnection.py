"""HTTP/1.1 on one connection (RFC 9112)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from geuwsgi.errors import PeerTimeout, RemoteProtocolError
from geuwsgi.net.stream import Stream
from geuwsgi.protocol import http1
from geuwsgi.server import answering
from geuwsgi.server.connection import READ_SIZE, Connection
from geuwsgi.server.exchange import Exchange
from geuwsgi.wsgi.input import BodyInput, ChunkedInput, LengthInput

if TYPE_CHECKING:
    from geuwsgi.server.site import Limits, Site
    from geuwsgi.wsgi.response import RenderedHead

_ENDS = answering.ENDS
_STAYS = answering.STAYS
_RESTS = answering.RESTS

_CHUNKED = http1.CHUNKED
_EXPECT_CONTINUE = http1.EXPECT_CONTINUE
_HTTP_1_0 = http1.HTTP_1_0
_KEEP_ALIVE = http1.KEEP_ALIVE
_UPGRADE = http1.UPGRADE

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpConnection(Connection):
    """HTTP/1.1, any number of requests one after the other (RFC 9112)."""

    __slots__ = (
        "_has_asked",
        "_is_reused",
        "_is_woken",
        "_known_environ",
        "_known_fields",
        "_known_flags",
        "_known_head",
        "_known_length",
        "_received",
    )

    def __init__(
        self,
        site: Site,
        stream: Stream,
        environ: dict[str, object],
        limits: Limits,
    ) -> None:
        super().__init__(site, stream, environ, limits)
        self._has_asked = False
        self._is_reused = False
        self._is_woken = False
        #: What came behind the last request.
        self._received = b""
        # The fields of the last request, and if they came before: the head with them,
        # its empty line included, and what it came to.
        self._known_fields = b""
        self._known_head = b""
        self._known_environ: dict[str, Any] = environ
        self._known_length = 0
        self._known_flags = 0

    def next_exchange(self) -> Exchange | None:
        received = self._next_bytes()
        if not received:
            return None
        stream = self.stream
        known = self._known_head
        if known and received.startswith(known):
            # No need to look for its end, nor to take it out: two copies and a search
            # (3,500 of 47,000 instructions).
            end = len(known) - 4
            environ = self._known_environ.copy()
            length = self._known_length
            flags = self._known_flags
        else:
            limits = self.limits
            stream.deadline = self.site.clock.now + limits.head_timeout
            end = received.find(b"\r\n\r\n")
            try:
                if end < 0 or end > limits.head_bytes or received[0] == 13:
                    received, end = self._read_head(received)
                    if not received:
                        return None
                stream.deadline = 0.0
                environ, length, flags = self._parse(received[: end + 4])
            except RemoteProtocolError as error:
                self.refuse(error)
                return None
        stream.deadline = 0.0
        exchange = self._exchange(environ, length, flags, received, end + 4)
        if exchange is None:
            return None
        if self.site.sticky is not None and self.goes_elsewhere(
            exchange.environ, received
        ):
            return None
        body = exchange.input
        if body is not None and not body.complete and not self.await_small_body(body):
            return None
        return exchange

    def _rest(self) -> int:
        """Give up the greenlet until the next request comes, if it has not come."""
        if self._received:
            return _STAYS
        stream = self.stream
        stream.deadline = self.site.clock.now + self.limits.keepalive_timeout
        if not stream.rest(self):
            return _STAYS
        self.idle = True
        return _RESTS

    def wake(self) -> None:
        self.idle = False
        self._is_woken = True
        self.site.greenlets.serve_soon(self)

    def _next_bytes(self) -> bytes:
        """Return the beginning of the next request, no bytes at the end."""
        stream = self.stream
        clock = self.site.clock
        limits = self.limits
        if not self._is_reused:
            self._is_reused = True
            stream.deadline = clock.now + limits.head_timeout
            return self.pending or stream.recv(READ_SIZE)
        if self._is_woken:
            self._is_woken = False
            return stream.recv(READ_SIZE)
        received = self._received
        if received:
            # Whoever sends a thousand requests at once gets one answer a turn of the
            # loop, or everybody else would wait for all of them.
            self._received = b""
            hub = self.site.hub
            hub.loop.run_callback(getcurrent().switch)
            greenlet.switch(hub)
            return received
        stream.deadline = clock.now + limits.keepalive_timeout
        self.idle = True
        received = stream.recv_after_wait(READ_SIZE)
        self.idle = False
        return received

    def settle(self, exchange: Exchange) -> int:
        if not (exchange.keep_alive and exchange.complete):
            if not exchange.upgraded:
                self._end_connection(exchange)
            return _ENDS
        body = exchange.input
        if body is None:
            self._received = exchange.received
        elif self._discard_body(body):
            self._received = body.leftover
        else:
            self.close_gently()
            return _ENDS
        return self._rest()

    def _read_head(self, received: bytes) -> tuple[bytes, int]:
        """Read until the empty line; return all that came and where it is.

        Empty bytes if the peer closed without sending a request.
        """
        limit = self.limits.head_bytes
        stream = self.stream
        while True:
            # RFC 9112 §2.2: an empty line before the request line is skipped.
            while received[:2] == b"\r\n":
                received = received[2:]
            end = received.find(b"\r\n\r\n")
            if end > limit or (end < 0 and len(received) > limit + 3):
                if received.find(b"\r\n", 0, limit) < 0:
                    raise RemoteProtocolError(
                        f"request line longer than {limit} bytes", 414
                    )
                raise RemoteProtocolError(
                    f"request head longer than {limit} bytes", 431
                )
            if end >= 0:
                return received, end
            try:
                more = stream.recv(READ_SIZE)
            except PeerTimeout:
                if not received:
                    raise
                raise RemoteProtocolError(
                    "request head not complete in time", 408
                ) from None
            if not more:
                if not received:
                    return b"", 0
                raise RemoteProtocolError("connection closed within a request head")
            received += more

    def _exchange(
        self,
        environ: dict[str, Any],
        length: int,
        flags: int,
        received: bytes,
        end: int,
    ) -> Exchange | None:
        """Make the exchange of a request whose head ends at ``end``; None: refused."""
        exchange = Exchange(self.site, self, environ)
        self.is_head = environ["REQUEST_METHOD"] == "HEAD"
        if flags & _KEEP_ALIVE and self.limits.keep_alive:
            exchange.keep_alive = True
        if not flags & _HTTP_1_0:
            exchange.chunks_allowed = True
        rest = received[end:] if end < len(received) else b""
        if length:
            limit = self.limits.body_bytes
            if 0 < limit < length:
                self.refuse(
                    RemoteProtocolError(
                        f"request body of {length} bytes, more than {limit}", 413
                    )
                )
                return None
            self._attach_body(exchange, length, flags, rest)
        elif rest:
            exchange.received = rest
        if flags & _UPGRADE:
            for offer in self.site.upgrade_offers:
                offer(exchange)
        return exchange

    def _parse(self, head: bytes) -> tuple[dict[str, Any], int, int]:
        """Return the environ of a request, the length of its body and its flags.

        ``head`` is the whole head with its empty line. Clients repeat themselves: on one connection the fields are mostly those of
        the request before, byte for byte, and a client that polls repeats the whole
        head. What was understood once is copied (4 of 10 microseconds; benchmarks:
        http-12). Nothing is kept of a first request, so that a connection that makes
        a single one, like a held long poll, does not pay 2 KiB for it.
        """
        parser = self.site.parser
        line_end = head.find(b"\r\n")
        fields = head[line_end:]
        if fields != self._known_fields:
            environ = self.new_environ()
            length, flags = self._parse_anew(head, environ)
            if self._has_asked and not flags & _HTTP_1_0:
                self._known_fields = fields
                self._known_head = b""
            self._has_asked = True
            return environ, length, flags
        if self._known_head:
            environ = self._known_environ.copy()
            length = self._known_length
            flags = self._known_flags
            if not parser.parse_line(head[:line_end], environ):
                environ = self.new_environ()
                length, flags = self._parse_anew(head, environ)
                return environ, length, flags
        else:
            environ = self.new_environ()
            length, flags = self._parse_anew(head, environ)
            if flags & _HTTP_1_0:
                return environ, length, flags
        self._known_head = head
        self._known_environ = environ.copy()
        self._known_length = length
        self._known_flags = flags
        return environ, length, flags

    def _parse_anew(self, head: bytes, environ: dict[str, Any]) -> tuple[int, int]:
        site = self.site
        framing = site.parser.parse(head[:-4], environ)
        if site.trust_forwarded_proto:
            scheme = environ.get("HTTP_X_FORWARDED_PROTO")
            if scheme == "https" or scheme == "http":
                environ["wsgi.url_scheme"] = scheme
        return framing

    def _attach_body(
        self, exchange: Exchange, length: int, flags: int, rest: bytes
    ) -> None:
        limits = self.limits
        before = None
        if flags & _EXPECT_CONTINUE and not rest:
            before = self._send_continue
        body: BodyInput
        if length == _CHUNKED:
            body = ChunkedInput(
                self.stream,
                rest,
                limits.body_bytes,
                before_first_read=before,
                extend_deadline=self._extend_read_deadline,
            )
        else:
            body = LengthInput(
                self.stream,
                length,
                rest,
                before_first_read=before,
                extend_deadline=self._extend_read_deadline,
            )
        exchange.input = body
        exchange.environ["wsgi.input"] = body

    def _send_continue(self) -> None:
        self.stream.send_all(_CONTINUE)

    def _discard_body(self, body: BodyInput) -> bool:
        """Read what the application left of the body, so the next request is found.

        False if that is not worth it: too much, or the client waits for a
        100 Continue that never came and may or may not send the body.
        """
        if body.complete:
            return True
        if body.before_first_read is not None:
            return False
        try:
            return body.discard(self.limits.discard_bytes)
        except RemoteProtocolError:
            return False

    def _end_connection(self, exchange: Exchange) -> None:
        unread = exchange.input is not None and not exchange.input.complete
        if unread or exchange.code >= 400:
            self.close_gently()
        elif exchange.complete and not (
            exchange.tells_its_end and type(self.stream) is Stream
        ):
            # TLS has a message for it; and where only the end of the stream ends a
            # response, it must come though a child of the application's has a copy
            # of the socket. Else closing says it, with a system call less.
            self.stream.shutdown_write()

    def end_of_head(self, exchange: Exchange, head: RenderedHead) -> bytes:
        if exchange.keep_alive and exchange.chunks_allowed:
            return b"\r\n" if head.has_date else self.site.clock.date_end
        date = b"" if head.has_date else self.site.clock.date_line
        if exchange.keep_alive:
            return date + b"Connection: keep-alive\r\n\r\n"
        return date + b"Connection: close\r\n\r\n"
