"""One request and its response.

The exchange owns the response: what the application said becomes bytes here, framed
as the request's version and the response's status demand, in as few writes as can
be. A body that is known whole goes out with its head in one.

States: nothing said → head known (``start_response``) → head sent → complete. An
exchange that was hijacked leaves the path: its bytes are somebody else's, and
nothing is written here any more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from geuwsgi.errors import Disconnected, LocalProtocolError
from geuwsgi.net.stream import Sleeper, Stream
from geuwsgi.protocol.chunked import LAST_CHUNK
from geuwsgi.server.lending import LENT
from geuwsgi.wsgi.response import RenderedHead, reason_phrase

if TYPE_CHECKING:
    from types import TracebackType

    from geuwsgi.server.connection import Connection
    from geuwsgi.server.site import Limits, Site
    from geuwsgi.server.unsent import Spilled

ExcInfo = tuple[type[BaseException], BaseException, "TracebackType"]
Headers = list[tuple[str, str]]

#: A first piece of a body up to this size goes out with the head in one write.
_JOINED_BYTES = 65536

#: Seconds for which a body may be sent piece by piece before others run.
_TURN_S = 0.0005

#: Framing of the response body.
_BY_LENGTH = 0
_BY_CHUNKS = 1
_BY_CLOSE = 2
_NO_BODY = 3


_LENT = LENT


class Carrier(Sleeper):
    """What an exchange needs to know of the connection that carries it."""

    __slots__ = ("is_head", "limits", "site", "stream")

    def __init__(self, site: Site, stream: Stream, limits: Limits) -> None:
        self.site = site
        self.stream = stream
        self.limits = limits
        #: Whether the request is a HEAD, whose answer has no body.
        self.is_head = False

    def end_of_head(self, exchange: Exchange, head: RenderedHead) -> bytes:
        """Return the Date and Connection lines of a response and the empty line."""
        raise NotImplementedError


class Exchange:
    """One request and its response, on ``connection``.

    ``environ`` is the WSGI environ.
    """

    __slots__ = (
        "__weakref__",
        "_began",
        "_core",
        "_extra_headers",
        "_framing",
        "_last_length",
        "_left",
        "_on_end",
        "_size_line",
        "_spilled",
        "_turn_ends",
        "abort_requested",
        "app_number",
        "app_requests",
        "body_bytes",
        "chunks_allowed",
        "complete",
        "connection",
        "core",
        "deadline",
        "duration",
        "environ",
        "failed",
        "greenlet",
        "head",
        "header_bytes",
        "headers",
        "headers_sent",
        "input",
        "keep_alive",
        "log_forced",
        "log_this",
        "logvars",
        "packet_size",
        "protocol",
        "received",
        "removed_headers",
        "replaceable",
        "site",
        "started",
        "status",
        "switches",
        "transformations",
        "upgrade",
        "upgraded",
        "vars_count",
        "via",
        "wait",
    )

    def __init__(
        self, site: Site, connection: Connection, environ: dict[str, Any]
    ) -> None:
        self.site = site
        self.connection = connection
        self.environ = environ
        self.core = -1
        self._core = -1
        self._began = 0.0
        self.greenlet: greenlet | None = None
        self.keep_alive = False
        self.chunks_allowed = False
        #: The body, if the request has one.
        self.input: Any = None
        #: Bytes that followed the request, for whoever hijacks the connection.
        self.received = b""
        self.protocol = "HTTP/1.1"
        self.packet_size = 0
        self.vars_count = 0

        # The response.
        self.status = ""
        self.headers: Headers | None = None
        self.head: RenderedHead | None = None
        self.headers_sent = False
        self.complete = False
        #: The connection was handed over; the server writes nothing any more.
        self.upgraded = False
        #: What may make a websocket of this request; None if it does not ask for one.
        self.upgrade: Any = None
        #: The application raised, or was ended.
        self.failed = False
        #: Waits for what the application asked for before it goes on with its body
        #: (uWSGI: wait_fd_read).
        self.wait: Callable[[], object] | None = None
        #: A response filter is running and may answer in place of the application.
        self.replaceable = False
        #: Names of response header fields to leave out, in lower case.
        self.removed_headers: tuple[str, ...] = ()
        #: The ``Pipeline`` the body goes through; set with `geuwsgi.server.transform`.
        self.transformations: Any = None
        self._extra_headers: Headers | None = None
        self._framing = _BY_LENGTH
        self._left = -1
        self._spilled: Spilled | None = None
        # Of the last chunk.
        self._last_length = -1
        self._size_line = b""

        # Its time and what the log tells of it.
        self.started = 0.0
        self.duration = 0.0
        #: Monotonic seconds at which harakiri ends the request; 0 never.
        self.deadline = 0.0
        self.abort_requested = False
        self.app_number = -1
        self.app_requests = 0
        self.body_bytes = 0
        self.header_bytes = 0
        self.switches = 1
        self._turn_ends = 0.0
        self.via = ""
        self.logvars: dict[str, bytes] | None = None
        self.log_this = True
        self.log_forced = False
        self._on_end: list[Callable[[], None]] | None = None

    # What others may ask.

    @property
    def stream(self) -> Stream:
        return self.connection.stream

    @property
    def method(self) -> str:
        return str(self.environ.get("REQUEST_METHOD", ""))

    @property
    def code(self) -> int:
        """The status as a number, 0 before there is one."""
        return self.head.code if self.head is not None else 0

    @property
    def tells_its_end(self) -> bool:
        """Whether the peer knows the response's end before the connection's."""
        return self._framing != _BY_CLOSE

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the exchange ends, however it does."""
        if self._on_end is None:
            self._on_end = []
        self._on_end.append(callback)

    def set_logvar(self, name: str, value: bytes) -> None:
        if self.logvars is None:
            self.logvars = {}
        self.logvars[name] = value

    def force_log(self) -> None:
        """Log this request even where requests are not logged."""
        site = self.site
        self.log_forced = True
        if site.log_request is None and site.log_forced is not None:
            self.at_end(partial(site.log_forced, self))

    def add_header(self, name: str, value: str) -> None:
        """Add a field to the response, whoever makes it."""
        if self._extra_headers is None:
            self._extra_headers = []
        self._extra_headers.append((name, value))

    def set_deadline(self, seconds: float) -> None:
        """End the request in ``seconds`` from now; 0: never (uWSGI: harakiri)."""
        self.deadline = monotonic() + seconds if seconds > 0 else 0.0

    # Its course

    def begin(self) -> None:
        """Take a core for the current greenlet; parks it until there is one."""
        site = self.site
        cores = site.cores
        self.greenlet = current = getcurrent()
        current.exchange = self  # type: ignore[attr-defined]
        # Context variables of the last request are not this one's.
        current.gr_context = None
        free = cores.free
        if len(free) > 1:
            # What take() does, without the call (0.1 microseconds of 6).
            core = free.pop()
            cores.holders[core] = self
        else:
            core = cores.take(self)
        self.core = self._core = core
        site.tally.request_begins()
        self.environ["uwsgi.core"] = core
        self._began = began = monotonic()
        self.started = began + site.clock.wall_offset
        if site.harakiri:
            self.deadline = began + site.harakiri

    def age(self, now: float) -> float:
        """How many seconds it has a core; ``now`` is monotonic."""
        return now - self._began

    def choose(self) -> Any:
        """Return the application to call, None if a stage answered in its place."""
        site = self.site
        for stage in site.stages:
            if stage(self):
                return None
        app = site.find_application(self.environ)
        connection = self.connection
        if app is None:
            connection.refuse_for_want_of_an_application(self)
            return None
        self.app_number = app.number
        self.app_requests = app.requests = app.requests + 1
        if self.input is not None and connection.limits.post_buffering:
            connection.buffer_body(self, connection.limits.post_buffering)
        return app.call

    def conclude(self) -> None:
        """Give the core back, count and log. The exchange has been answered."""
        site = self.site
        self.duration = duration = monotonic() - self._began
        core = self._core
        if self.core >= 0:
            site.cores.give(core)
        elif self.core == _LENT:
            site.lending.returns(self)
        # For the log: which one it was.
        self.core = core
        site.tally.request_ends(duration, self.header_bytes + self.body_bytes)
        if site.request_ended is not None:
            site.request_ended()
        self.greenlet.exchange = None  # type: ignore[union-attr]
        if self._on_end is not None:
            self.end()
        if site.log_request is not None:
            site.log_request(self)

    def release_core(self) -> None:
        """Give the core back: the rest of this exchange only moves bytes."""
        if self.core >= 0:
            core = self.core
            self.core = -1
            self.site.cores.give(core)

    def take_core_again(self, waited: float) -> None:
        """Have a core again, ``waited`` seconds after ``release_core``.

        Parks the greenlet until there is one. The time without does not count for
        harakiri.
        """
        began = monotonic()
        self.core = self._core = core = self.site.cores.take(self)
        self.environ["uwsgi.core"] = core
        if self.deadline:
            self.deadline += waited + monotonic() - began

    def take_lent_core(self) -> None:
        """Have a core again for what comes after a wait; parks the greenlet.

        Only the request's own: it may end before others that it has started.
        """
        if self.core == _LENT and getcurrent() is self.greenlet:
            self.core = -1
            self.site.lending.returns(self)
            self.core = self._core = core = self.site.cores.take(self)
            self.environ["uwsgi.core"] = core

    def _wait_without_core(
        self, rest: memoryview, send_file: Callable[[int, int, int], int]
    ) -> bool:
        """Let a slow reader have ``rest``, the end of the answer, without a core."""
        unsent = self.site.unsent
        if not unsent.admits(self):
            self._spilled = unsent.spill(self, rest, send_file)
            # What it was in memory goes when the application has returned.
            return self._spilled is not None
        self.release_core()
        return False

    def _send_spilled(self) -> None:
        spilled, self._spilled = self._spilled, None
        assert spilled is not None
        self.release_core()
        spilled.send()

    # PEP 3333

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """See PEP 3333. Errors in the arguments are raised here, at their cause."""
        if self.head is not None and not self.replaceable:
            self._restart(exc_info)
        self.head = self.site.renderer.render(status, headers)
        self.status = status
        self.headers = headers
        return self.write

    def _restart(self, exc_info: ExcInfo | None) -> None:
        if exc_info is None:
            raise LocalProtocolError("start_response called twice without exc_info")
        try:
            if self.headers_sent:
                raise exc_info[1].with_traceback(exc_info[2])
        finally:
            # The traceback holds this frame: a cycle that would keep the request.
            del exc_info

    def write(self, chunk: bytes) -> None:
        """Send a piece of the body, and the head before the first one."""
        pipeline = self.transformations
        if pipeline is not None and not pipeline.passing:
            pipeline.write(self, chunk)
            return
        if self.upgraded or self.complete or not chunk:
            return
        if self.headers_sent:
            self._write_more(chunk)
            return
        self._write_head(-1, chunk)

    def write_whole(self, body: bytes) -> None:
        """Send a body of which this is all, with its head in one write."""
        pipeline = self.transformations
        if pipeline is not None and not pipeline.passing:
            pipeline.write_whole(self, body)
            return
        if self.upgraded or self.complete:
            return
        if self.headers_sent:
            if body:
                self._write_more(body)
            self.finish()
            return
        self._write_head(len(body), body)
        if self._left > 0:
            self.finish()
        self.complete = True

    def write_if_whole(self, result: object) -> bool:
        """Send what most applications return: a list of one piece.

        False if it is something else; then nothing was sent.
        """
        if type(result) is list and len(result) == 1 and not self.upgraded:
            body = result[0]
            if type(body) is bytes:
                self.write_whole(body)
                return True
        return False

    def write_raw(self, octets: bytes) -> None:
        """Send bytes as they are (uWSGI: uwsgi.send).

        If the head was not sent it never is, and the body follows unframed.
        """
        self.keep_alive = False
        if not self.headers_sent:
            self.headers_sent = True
            self._framing = _BY_CLOSE
        self._send(octets)

    def finish(self) -> None:
        """End the body. Cuts the connection if it is shorter than announced."""
        pipeline = self.transformations
        if pipeline is not None and not pipeline.passing:
            pipeline.finish(self)
            if self._spilled is not None:
                self._send_spilled()
            return
        if self.complete or self.upgraded:
            if self._spilled is not None:
                self._send_spilled()
            return
        if not self.headers_sent:
            self._write_head(0, b"")
        elif self._framing == _BY_CHUNKS:
            self._send(LAST_CHUNK)
        elif self._framing == _BY_LENGTH and self._left > 0:
            self.keep_alive = False
            self.cut()
            raise LocalProtocolError(
                f"response body is {self._left} bytes shorter than its Content-Length"
            )
        self.complete = True

    def cut(self) -> None:
        """Make the client see that the answer is not whole."""
        self.keep_alive = False
        # Who took the connection over has its own way to say so.
        if not self.upgraded:
            self.connection.stream.reset_on_close()

    # Bytes

    def _require_head(self) -> RenderedHead:
        head = self.head
        if head is None:
            raise LocalProtocolError("the application did not call start_response")
        if self.site.response_filters or self._extra_headers:
            head = self._filtered_head(head)
        return head

    def _filtered_head(self, head: RenderedHead) -> RenderedHead:
        for response_filter in self.site.response_filters:
            response_filter(self)
            if self.complete:
                return head
        headers = list(self.headers or ())
        if self._extra_headers:
            headers += self._extra_headers
            self._extra_headers = None
        self.head = head = self.site.renderer.render(self.status, headers)
        return head

    def _write_head(
        self,
        known_length: int,
        first: bytes,
        *,
        file_follows: bool = False,
    ) -> None:
        """Send the head, and ``first`` behind it in the same write.

        ``known_length`` is the length of the whole body, -1 if it is not known. With
        ``file_follows`` the head waits in the kernel for the file's first bytes.
        """
        head = self._require_head()
        body: bytes | memoryview
        if self.complete:
            return  # a response filter answered; the application's body goes nowhere
        connection = self.connection
        length = head.content_length
        body_length = len(first)
        start = head.start
        if head.has_no_body or connection.is_head:
            start += self._frame_no_body(head, known_length)
            first = b""
            body_length = 0
        elif length >= 0 or known_length >= 0:
            if length < 0:
                length = known_length
                start += b"Content-Length: %d\r\n" % length
            else:
                start = head.framed
            self._left = length - body_length
            if self._left < 0:
                self._report_excess(-self._left)
                first = first[:length]
                body_length = length
                self._left = 0
        elif self.chunks_allowed:
            # A stream may well last: harakiri is for requests without an answer.
            self.deadline = 0.0
            self._framing = _BY_CHUNKS
            start += b"Transfer-Encoding: chunked\r\n"
            first = b"%x\r\n%b\r\n" % (body_length, first)
        else:
            self.deadline = 0.0
            self._framing = _BY_CLOSE
            self.keep_alive = False
        if head.wants_close or self.site.draining:
            self.keep_alive = False
        elif self.input is not None and getattr(self.input, "failed", False):
            # The application goes on after an error in the request's body.
            self.keep_alive = False
        if self.protocol != "HTTP/1.1":
            start = self.protocol.encode("latin-1") + start[8:]
        octets = start + connection.end_of_head(self, head)
        self.header_bytes = len(octets)
        self.body_bytes = body_length
        self.headers_sent = True
        sticky = self.site.sticky
        if sticky is not None:
            sticky.learn_from_body(self, first)
        stream = connection.stream
        if file_follows and self._framing != _NO_BODY:
            stream.send_more(octets)
            return
        if body_length < _JOINED_BYTES:
            body = octets + first
        elif type(stream) is Stream:
            # Copying a long body costs more than a call for two pieces.
            plain = stream
            sent = plain.send_both_nowait(octets, first) - len(octets)
            if sent < 0:
                plain.send_all(octets[sent:])
                sent = 0
            if sent == body_length:
                return
            body = memoryview(first)[sent:]
        else:
            stream.send_more(octets)
            body = first
        if known_length != body_length:
            self._send(body)
        elif type(stream) is Stream:
            # The application has returned: a slow reader needs no core. As below,
            # without a bound method and a call by its name.
            plain = stream
            sent = plain.send_nowait(body)
            if sent != len(body):
                plain.send_last(memoryview(body)[sent:], self._wait_without_core)
        else:
            stream.send_last(body, self._wait_without_core)

    def _frame_no_body(self, head: RenderedHead, known_length: int) -> bytes:
        """RFC 9110 §8.6, §15.4.5: no body follows, but HEAD and 304 tell its length."""
        self._framing = _NO_BODY
        length = head.content_length
        if head.code == 204:
            length = -1
        elif length < 0 < known_length and head.code != 304:
            length = known_length
        return b"Content-Length: %d\r\n" % length if length >= 0 else b""

    def _write_more(self, chunk: bytes) -> None:
        framing = self._framing
        if framing == _BY_CHUNKS:
            length = len(chunk)
            if length != self._last_length:
                # Pieces are often as long as the one before.
                self._last_length = length
                self._size_line = b"%x\r\n" % length
            self._send(self._size_line + chunk + b"\r\n")
        elif framing == _BY_CLOSE:
            self._send(chunk)
        elif framing == _BY_LENGTH:
            self._left -= len(chunk)
            if self._left < 0:
                excess = -self._left
                chunk = chunk[:-excess]
                self._left = 0
                self._report_excess(excess)
                if not chunk:
                    return
            self._send(chunk)
        else:
            return
        self.body_bytes += len(chunk)

    def _report_excess(self, excess: int) -> None:
        if self.environ.get("geuwsgi.excess_reported") is None:
            self.environ["geuwsgi.excess_reported"] = True
            self.site.report(
                f"response body is longer than its Content-Length: "
                f"{excess} bytes not sent ({self.environ.get('REQUEST_URI')})"
            )

    def _send(self, octets: bytes | memoryview) -> None:
        stream = self.connection.stream
        if type(stream) is Stream:
            plain = stream
            plain.send_all(octets)
        else:
            stream.send_all(octets)
        if self.core == _LENT:
            self.take_lent_core()

    def send_file(self, fd: int, offset: int, count: int) -> None:
        """Send ``count`` bytes of ``fd`` from ``offset`` as a piece of the body.

        The head goes first if it was not sent; if the application gave no
        Content-Length it announces ``count`` bytes and nothing may follow. The core
        is given back: what is left to do is the kernel's.
        """
        pipeline = self.transformations
        if pipeline is not None and not pipeline.passing:
            pipeline.send_file(self, fd, offset, count)
            return
        if self.upgraded or self.complete:
            return
        if not self.headers_sent:
            self._write_head(count, b"", file_follows=count > 0)
            if self.complete:
                return
        framing = self._framing
        if framing == _NO_BODY or not count:
            return
        self.via = "sendfile"
        self.release_core()
        if framing == _BY_CHUNKS:
            self._send(b"%x\r\n" % count)
        elif framing == _BY_LENGTH:
            count = min(count, self._left)
        stream = self.connection.stream
        send_file = self.site.send_file
        if send_file is None:
            sent = stream.send_file(fd, offset, count, self._file_progress)
        else:
            sent = send_file(stream, fd, offset, count, self._file_progress)
        if framing == _BY_CHUNKS:
            if sent < count:
                self.cut()
                raise LocalProtocolError(f"file ended {count - sent} bytes early")
            self._send(b"\r\n")
        elif framing == _BY_LENGTH:
            self._left -= sent

    def _file_progress(self, sent: int) -> None:
        self.body_bytes += sent

    # Ends other than the application's.

    def respond_error(self, status: int, message: str = "") -> None:
        """Answer with a plain text error, if nothing was sent; else cut."""
        self.keep_alive = False
        if self.upgraded:
            return
        if self.headers_sent:
            if not self.complete:
                self.cut()
            return
        reason = reason_phrase(status)
        body = f"{message or reason}\n".encode("latin-1", "replace")
        self._extra_headers = None
        self.status = f"{status} {reason}"
        self.headers = [("Content-Type", "text/plain; charset=utf-8")]
        self.head = self.site.renderer.render(self.status, self.headers)
        try:
            if any(answer(self, status) for answer in self.site.error_answers):
                self.finish()
            else:
                self.write_whole(body)
            if self._spilled is not None:
                self._send_spilled()
        except Disconnected:
            self.complete = True

    def hijack(self) -> Stream:
        """Hand the connection over; the server writes nothing to it any more.

        Bytes of the client that were read already are in ``received``. The stream
        is closed when the request's greenlet returns.
        """
        if self.headers_sent:
            raise LocalProtocolError("the response has been started")
        self.upgraded = True
        self.keep_alive = False
        self.deadline = 0.0
        return self.connection.stream

    def end(self) -> None:
        """Run the callbacks of ``at_end``; each runs whatever the others do."""
        callbacks = self._on_end
        if callbacks is None:
            return
        self._on_end = None
        for callback in callbacks:
            try:
                callback()
            except Exception as exc:
                self.site.report(f"error at the end of a request: {exc!r}")

    def take_turns(self) -> None:
        """Let others run, if this request had its turn: between pieces of a body.

        Two switches and a turn of the loop cost more than a small piece.
        """
        if self.wait is None and monotonic() < self._turn_ends:
            # uWSGI counts one for each piece.
            self.switches += 1
            return
        self.yield_to_others()
        self._turn_ends = monotonic() + _TURN_S

    def yield_to_others(self) -> None:
        """Let other greenlets run between two pieces of a body."""
        self.switches += 1
        if self.wait is not None:
            self.wait()
            return
        hub = self.site.hub
        hub.loop.run_callback(getcurrent().switch)
        greenlet.switch(hub)


def overdue(holders: dict[int, Exchange], now: float) -> list[Exchange]:
    """Return the exchanges past their deadlines, of those in flight.

    Asked four times a second about each of perhaps 100,000: 4 ms interpreted, half a
    millisecond compiled.
    """
    due = []
    for exchange in holders.values():
        if 0.0 < exchange.deadline <= now:
            due.append(exchange)
    return due
