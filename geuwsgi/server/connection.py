"""One connection's life: read a request, have it answered, again or close.

``Connection`` holds what both protocols share: running an exchange on a core,
turning failures into answers, and closing so that the peer can read the last one.
The two subclasses know how requests arrive.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Mapping
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from geuwsgi.errors import Disconnected, PeerTimeout, RemoteProtocolError
from geuwsgi.protocol import http1, uwsgi
from geuwsgi.server.abort import RequestAborted
from geuwsgi.server.exchange import Exchange
from geuwsgi.shared import scoreboard
from geuwsgi.wsgi.gateway import run_application
from geuwsgi.wsgi.input import BodyInput, ChunkedInput, LengthInput

if TYPE_CHECKING:
    from geuwsgi.net.stream import Stream
    from geuwsgi.server.site import Limits, Site
    from geuwsgi.wsgi.response import RenderedHead

_READ_SIZE = 16384
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_REQUESTS = scoreboard.REQUESTS
_CORES_BUSY = scoreboard.CORES_BUSY
_RUNNING_TIME_US = scoreboard.RUNNING_TIME_US
_TX_BYTES = scoreboard.TX_BYTES


class Connection:
    """A connected peer on ``stream``.

    ``environ`` is what every request on the connection starts from: the worker's
    part and the peer's.
    """

    __slots__ = (
        "__weakref__",
        "environ",
        "idle",
        "is_head",
        "limits",
        "site",
        "stream",
    )

    def __init__(
        self,
        site: Site,
        stream: Stream,
        environ: dict[str, object],
        limits: Limits,
    ) -> None:
        self.site = site
        self.limits = limits
        self.stream = stream
        self.environ = environ
        #: Between requests: draining may close it without losing anything.
        self.idle = False
        self.is_head = False

    def serve(self) -> None:
        """Serve requests until the connection ends; never raises.

        Blocks the calling greenlet, which is the connection's own.
        """
        try:
            self._serve()
        except Disconnected:
            pass
        except RequestAborted:
            self.stream.reset_on_close()
        except Exception:
            # A fault of the server's. It must not take the worker along.
            self.site.report(traceback.format_exc())
        finally:
            self.stream.close()

    def _serve(self) -> None:
        raise NotImplementedError

    def closing_lines(self, exchange: Exchange, head: RenderedHead) -> str:
        """Return the Date and Connection lines of a response."""
        raise NotImplementedError

    # One exchange

    def run(self, exchange: Exchange) -> None:
        """Have ``exchange`` answered: by a stage, the application, or an error."""
        site = self.site
        cores = site.cores
        counters = site.counters
        exchange.greenlet = current = getcurrent()
        current.exchange = exchange  # type: ignore[attr-defined]
        # Context variables of the last request are not this one's.
        current.gr_context = None
        free = cores.free
        if len(free) > 1:
            # What take() does, without the call (0.1 microseconds of 6).
            core = free.pop()
            cores.holders[core] = exchange
        else:
            core = cores.take(exchange)
        exchange.core = core
        counters[_CORES_BUSY] += 1
        exchange.environ["uwsgi.core"] = core
        exchange.started = time()
        began = monotonic()
        if site.harakiri:
            exchange.deadline = began + site.harakiri
        try:
            for stage in site.stages:
                if stage(exchange):
                    break
            else:
                app = site.find_application(exchange.environ)
                if app is None:
                    self._refuse_for_want_of_an_application(exchange)
                else:
                    exchange.app_number = app.number
                    exchange.app_requests = app.requests = app.requests + 1
                    if exchange.input is not None and self.limits.post_buffering:
                        self._buffer_body(exchange)
                    run_application(app.call, exchange)
            if not exchange.complete and not exchange.upgraded:
                exchange.finish()
        except BaseException as exc:
            self._fail(exchange, exc)
        finally:
            exchange.duration = duration = monotonic() - began
            if exchange.core >= 0:
                exchange.core = -1
                cores.give(core)
            exchange.core = core
            counters[_CORES_BUSY] -= 1
            counters[_REQUESTS] += 1
            counters[_RUNNING_TIME_US] += int(duration * 1e6)
            counters[_TX_BYTES] += exchange.header_bytes + exchange.body_bytes
            current.exchange = None  # type: ignore[attr-defined]
            if exchange._on_end is not None:
                exchange.end()
            if site.log_request is not None:
                site.log_request(exchange)
            if site.request_ended is not None:
                site.request_ended()

    def _refuse_for_want_of_an_application(self, exchange: Exchange) -> None:
        self.site.report(
            "--- no python application found, check your startup logs for errors ---"
        )
        exchange.respond_error(500)

    def _buffer_body(self, exchange: Exchange) -> None:
        """Read the body before the application runs (uWSGI: post-buffering)."""
        body: BodyInput = exchange.input
        # Closed at the end of the exchange, which outlives this function.
        file = tempfile.SpooledTemporaryFile(self.limits.post_buffering)  # noqa: SIM115
        length = 0
        while True:
            piece = body.read(65536)
            if not piece:
                break
            length += len(piece)
            file.write(piece)
        file.seek(0)
        exchange.at_end(file.close)
        exchange.environ["wsgi.input"] = file
        exchange.environ["CONTENT_LENGTH"] = str(length)

    def _fail(self, exchange: Exchange, exc: BaseException) -> None:
        """Turn what ended the request into an answer and a line in the log."""
        site = self.site
        exchange.keep_alive = False
        exchange.failed = True
        if isinstance(exc, Disconnected):
            if not site.quiet_disconnects:
                site.report(
                    f"client gone during {exchange.method} "
                    f"{exchange.environ.get('REQUEST_URI')}: {exc}"
                )
            exchange.cut()
        elif isinstance(exc, RequestAborted):
            site.report(f"{exc}\n{_format_traceback(exc)}")
            exchange.respond_error(exc.status)
        elif isinstance(exc, RemoteProtocolError):
            site.report(f"bad request from {self._peer(exchange.environ)}: {exc}")
            exchange.respond_error(exc.status, str(exc))
        else:
            site.counters[scoreboard.EXCEPTIONS] += 1
            site.report(_format_traceback(exc))
            exchange.respond_error(500)

    @staticmethod
    def _peer(environ: dict[str, Any]) -> str:
        return str(environ.get("REMOTE_ADDR", "unknown peer"))

    def _extend_read_deadline(self) -> None:
        site = self.site
        self.stream.deadline = site.clock.now + self.limits.body_timeout

    def refuse(self, error: RemoteProtocolError) -> None:
        """Answer a request that could not be read, and end the connection."""
        site = self.site
        site.report(f"bad request from {self._peer(self.environ)}: {error}")
        exchange = Exchange(site, self, dict(self.environ))
        exchange.started = time()
        self.is_head = False
        exchange.respond_error(error.status, str(error))
        self.close_gently()

    def close_gently(self) -> None:
        """Close without a reset that would eat the last answer."""
        site = self.site
        self.stream.deadline = site.clock.now + 2.0
        self.stream.half_close_and_drain(self.limits.discard_bytes)


class HttpConnection(Connection):
    """HTTP/1.1, any number of requests one after the other (RFC 9112)."""

    __slots__ = (
        "_known_environ",
        "_known_fields",
        "_known_framing",
        "_known_line",
        "_requests",
    )

    def __init__(
        self,
        site: Site,
        stream: Stream,
        environ: dict[str, object],
        limits: Limits,
    ) -> None:
        super().__init__(site, stream, environ, limits)
        self._requests = 0
        # The last head: its first line, its fields, and what they came to.
        self._known_line = b""
        self._known_fields = b""
        self._known_environ: dict[str, Any] = environ
        self._known_framing = (0, 0)

    def _serve(self) -> None:
        site = self.site
        stream = self.stream
        clock = site.clock
        limits = self.limits
        stream.deadline = clock.now + limits.head_timeout
        received = stream.recv(_READ_SIZE)
        while received:
            end = received.find(b"\r\n\r\n")
            if end < 0 or end > limits.head_bytes or received[0] == 13:
                try:
                    received, end = self._read_head(received)
                except RemoteProtocolError as error:
                    self.refuse(error)
                    return
                if not received:
                    return
            stream.deadline = 0.0
            exchange = self._exchange(received, end)
            if exchange is None:
                return
            received = b""
            self.run(exchange)
            keep = exchange.keep_alive and exchange.complete
            if not keep:
                if not exchange.upgraded:
                    self._end_connection(exchange)
                return
            received = exchange.received
            if exchange.input is not None:
                if not self._discard_body(exchange.input):
                    self.close_gently()
                    return
                received = exchange.input.leftover
            # What this request held must not stay while the next one is awaited.
            del exchange
            if not received:
                stream.deadline = clock.now + limits.keepalive_timeout
                self.idle = True
                received = stream.recv_after_wait(_READ_SIZE)
                self.idle = False
            if received:
                stream.deadline = clock.now + limits.head_timeout

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
                more = stream.recv(_READ_SIZE)
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

    def _exchange(self, received: bytes, end: int) -> Exchange | None:
        """Make the exchange of a request whose head ends at ``end``; None: refused.

        Clients repeat themselves: on one connection the fields are mostly those of
        the request before, byte for byte, and a client that polls repeats the whole
        head. What was understood once is copied (4 of 10 microseconds; benchmarks:
        http-hello). Remembered from the second request on, so that a connection that
        makes a single one, like a held long poll, does not pay 2 KiB for it.
        """
        site = self.site
        line_end = received.find(b"\r\n", 0, end)
        line = received[:line_end]
        fields = received[line_end:end]
        try:
            if fields == self._known_fields and self._requests > 1:
                environ = self._known_environ.copy()
                length, flags = self._known_framing
                if line != self._known_line:
                    if site.parser.parse_line(line, environ):
                        self._known_line = line
                        self._known_environ = environ.copy()
                    else:
                        environ = self.environ.copy()
                        length, flags = site.parser.parse(received[:end], environ)
            else:
                environ = self.environ.copy()
                length, flags = site.parser.parse(received[:end], environ)
                self._requests += 1
                if self._requests > 1 and not flags & http1.HTTP_1_0:
                    self._known_line = line
                    self._known_fields = fields
                    self._known_environ = environ.copy()
                    self._known_framing = length, flags
        except RemoteProtocolError as error:
            self.refuse(error)
            return None
        exchange = Exchange(site, self, environ)
        self.is_head = environ["REQUEST_METHOD"] == "HEAD"
        if flags & http1.KEEP_ALIVE and self.limits.keep_alive:
            exchange.keep_alive = True
        if not flags & http1.HTTP_1_0:
            exchange.chunks_allowed = True
        rest = received[end + 4 :]
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
        if site.trust_forwarded_proto:
            scheme = environ.get("HTTP_X_FORWARDED_PROTO")
            if scheme == "https" or scheme == "http":
                environ["wsgi.url_scheme"] = scheme
        if flags & http1.UPGRADE:
            for offer in site.upgrade_offers:
                offer(exchange)
        return exchange

    def _attach_body(
        self, exchange: Exchange, length: int, flags: int, rest: bytes
    ) -> None:
        limits = self.limits
        before = None
        if flags & http1.EXPECT_CONTINUE and not rest:
            before = self._send_continue
        body: BodyInput
        if length == http1.CHUNKED:
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
        elif exchange.complete:
            self.stream.shutdown_write()

    def closing_lines(self, exchange: Exchange, head: RenderedHead) -> str:
        date = "" if head.has_date else self.site.clock.date_line
        if not exchange.keep_alive:
            return f"{date}Connection: close\r\n"
        if exchange.chunks_allowed:
            return date
        return f"{date}Connection: keep-alive\r\n"


class UwsgiConnection(Connection):
    """The uwsgi protocol: one packet, one answer, close."""

    __slots__ = ()

    def _serve(self) -> None:
        site = self.site
        stream = self.stream
        stream.deadline = site.clock.now + self.limits.head_timeout
        received = stream.recv(_READ_SIZE)
        while len(received) < uwsgi.HEADER_SIZE:
            more = stream.recv(_READ_SIZE)
            if not more:
                return
            received += more
        modifier1, size, modifier2 = uwsgi.decode_header(received)
        end = uwsgi.HEADER_SIZE + size
        if modifier1 != uwsgi.REQUEST:
            self._other_modifier(modifier1, modifier2, received)
            return
        if size > self.limits.head_bytes:
            site.report(
                f"invalid request block size: {size} "
                f"(max {self.limits.head_bytes})...skip"
            )
            self.refuse(RemoteProtocolError("request block too large", 431))
            return
        while len(received) < end:
            more = stream.recv(_READ_SIZE)
            if not more:
                site.report(
                    f"uwsgi packet cut short: {len(received)} of {end} bytes came"
                )
                return
            received += more
        stream.deadline = 0.0
        environ = dict(_DEFAULT_VARS)
        try:
            count = uwsgi.decode_vars(received[uwsgi.HEADER_SIZE : end], environ)
            length = self._complete_environ(environ)
        except RemoteProtocolError as error:
            self.refuse(error)
            return
        exchange = Exchange(site, self, environ)
        exchange.packet_size = size
        exchange.vars_count = count * 2
        protocol = environ["SERVER_PROTOCOL"]
        if protocol != "HTTP/1.1" and str(protocol).startswith("HTTP/"):
            exchange.protocol = str(protocol)
        self.is_head = environ["REQUEST_METHOD"] == "HEAD"
        if length:
            self._attach_body(exchange, length, received[end:])
        elif len(received) > end:
            exchange.received = received[end:]
        if "HTTP_UPGRADE" in environ:
            for offer in site.upgrade_offers:
                offer(exchange)
        # Kept until the end of the request only.
        del received
        self.run(exchange)
        body = exchange.input
        if exchange.complete and body is not None and not body.complete:
            self.close_gently()

    def _complete_environ(self, environ: dict[str, object]) -> int:
        """Add the worker's keys, which no variable replaces; return the length."""
        environ.update(self.environ)
        get = environ.get
        # The front server has decoded the body, but nginx passes the field on.
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("HTTP_PROXY", None)
        scheme = get("UWSGI_SCHEME")
        if scheme is None:
            https = get("HTTPS")
            if https is not None and str(https).lower() in ("on", "1"):
                scheme = "https"
        if self.site.trust_forwarded_proto:
            forwarded = get("HTTP_X_FORWARDED_PROTO")
            if forwarded == "https" or forwarded == "http":
                scheme = forwarded
        if scheme is not None:
            environ["wsgi.url_scheme"] = scheme
        given = get("CONTENT_LENGTH")
        if not given:
            return 0
        length = http1.parse_content_length(str(given))
        limit = self.limits.body_bytes
        if 0 < limit < length:
            raise RemoteProtocolError(
                f"request body of {length} bytes, more than {limit}", 413
            )
        return length

    def _attach_body(self, exchange: Exchange, length: int, rest: bytes) -> None:
        body = LengthInput(
            self.stream,
            length,
            rest,
            before_first_read=None,
            extend_deadline=self._extend_read_deadline,
        )
        exchange.input = body
        exchange.environ["wsgi.input"] = body

    def _other_modifier(self, modifier1: int, modifier2: int, received: bytes) -> None:
        service = self.site.modifiers.get(modifier1)
        if service is not None:
            service(self, modifier2, received)
            return
        if received[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE"):
            self.site.report(
                "an HTTP request came to a uwsgi socket: "
                "the client or its proxy must speak the uwsgi protocol"
            )
        else:
            self.site.report(f"-- unavailable modifier requested: {modifier1} --")

    def closing_lines(self, exchange: Exchange, head: RenderedHead) -> str:
        return ""


#: What PEP 3333 wants and front servers leave out: nginx's ``uwsgi_params`` has no
#: ``SCRIPT_NAME``.
_DEFAULT_VARS: Mapping[str, object] = {
    "SCRIPT_NAME": "",
    "PATH_INFO": "",
    "QUERY_STRING": "",
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.0",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
}


def _format_traceback(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc)).rstrip()


def greenlet_body(site: Site, connection: Connection) -> None:
    """Serve ``connection`` in the current greenlet, then forget it."""
    site.connections.add(connection)
    counters = site.counters
    counters[scoreboard.CONNECTIONS] += 1
    try:
        connection.serve()
    except BaseException as exc:
        sys.stderr.write(_format_traceback(exc) + "\n")
    finally:
        counters[scoreboard.CONNECTIONS] -= 1
        site.connections.discard(connection)
