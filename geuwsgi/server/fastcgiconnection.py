"""FastCGI on one connection: requests one after the other, as a responder.

The exchange writes to its connection's stream as always; here that is a
``RecordStream``, which puts what is written into records and takes the body out of
them, so nothing above knows of FastCGI.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from geuwsgi.errors import Disconnected, RemoteProtocolError
from geuwsgi.net.fileblocks import file_blocks
from geuwsgi.protocol import fastcgi
from geuwsgi.server.cgiconnection import DEFAULT_VARS, CgiConnection
from geuwsgi.server.connection import READ_SIZE
from geuwsgi.server.exchange import Exchange
from geuwsgi.wsgi.input import UnboundInput

if TYPE_CHECKING:
    from greenlet import greenlet

    from geuwsgi.net.stream import BeforeWaiting, Stream
    from geuwsgi.server.site import Limits, Site

_FILE_BLOCK = 65528

#: What a front server may ask about us (GET_VALUES).
_VALUES = {b"FCGI_MAX_REQS": b"1", b"FCGI_MPXS_CONNS": b"0"}


class RecordStream:
    """The records of one connection, seen as the stream of one request at a time.

    ``begin`` starts a request; until ``end`` what is sent goes out as STDOUT and what
    is received comes out of STDIN.
    """

    __slots__ = (
        "_at_end",
        "_buffer",
        "_content",
        "_request_id",
        "_stream",
        "is_broken",
    )

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = b""
        self._request_id = 0
        # Of the body: what of a record was not asked for yet.
        self._content = b""
        self._at_end = True
        #: A body was malformed: nothing that follows is a request.
        self.is_broken = False

    def next_record(self) -> fastcgi.Record | None:
        """Return the next record, None at the end of the connection."""
        while (record := fastcgi.decode_record(self._buffer)) is None:
            received = self._stream.recv(READ_SIZE)
            if not received:
                if self._buffer:
                    raise RemoteProtocolError("FastCGI record cut short")
                return None
            self._buffer += received
        self._buffer = self._buffer[record.end :]
        return record

    def begin(self, request_id: int) -> None:
        self._request_id = request_id
        self._content = b""
        self._at_end = False

    def end(self) -> None:
        """End the answer to the request."""
        request_id = self._request_id
        self._stream.send_all(
            fastcgi.encode_record(fastcgi.STDOUT, request_id, b"")
            + fastcgi.encode_end(request_id)
        )

    @property
    def request_id(self) -> int:
        return self._request_id

    # The part of Stream that exchanges and bodies use.

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes of the body, b"" at its end."""
        content = self._content or self._next_content()
        self._content = content[size:]
        return content[:size]

    def _next_content(self) -> bytes:
        if self._at_end:
            return b""
        record = self.next_record()
        if record is None:
            raise Disconnected("the front server closed within a request body")
        if record.request_id != self._request_id:
            self.is_broken = True
            raise RemoteProtocolError("a FastCGI record of another request")
        if record.kind == fastcgi.ABORT_REQUEST:
            raise Disconnected("the front server aborted the request")
        if record.kind != fastcgi.STDIN:
            self.is_broken = True
            raise RemoteProtocolError(f"FastCGI record {record.kind} within a body")
        self._at_end = not record.content
        return record.content

    def send_all(self, octets: bytes | memoryview) -> None:
        if octets:
            self._stream.send_all(
                fastcgi.encode_stream(fastcgi.STDOUT, self._request_id, octets)
            )

    def send_last(
        self, octets: bytes | memoryview, before_waiting: BeforeWaiting
    ) -> None:
        if octets:
            self._stream.send_last(
                fastcgi.encode_stream(fastcgi.STDOUT, self._request_id, octets),
                before_waiting,
            )

    #: Records of a file follow anyway: there is nothing to hold back for.
    send_more = send_all

    def send_file(
        self,
        fd: int,
        offset: int,
        count: int,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Send a part of a file: the kernel cannot, between the heads of records."""
        sent = 0
        for block in file_blocks(fd, offset, count, _FILE_BLOCK):
            self.send_all(block)
            sent += len(block)
            if progress is not None:
                progress(len(block))
        return sent

    def fileno(self) -> int:
        return self._stream.fileno()

    def reset_on_close(self) -> None:
        self._stream.reset_on_close()

    def shutdown_write(self) -> None:
        self._stream.shutdown_write()

    def close(self) -> None:
        self._stream.close()

    @property
    def deadline(self) -> float:
        return self._stream.deadline

    @deadline.setter
    def deadline(self, value: float) -> None:
        self._stream.deadline = value

    @property
    def closed(self) -> bool:
        return self._stream.closed

    @property
    def is_waiting(self) -> bool:
        return self._stream.is_waiting

    @property
    def unsent(self) -> int:
        return self._stream.unsent

    def is_parked(self, current: greenlet | None) -> bool:
        return self._stream.is_parked(current)

    def left_to_take(self) -> int:
        return self._stream.left_to_take()

    def is_overdue(self, now: float) -> bool:
        return self._stream.is_overdue(now)

    def expire(self) -> None:
        self._stream.expire()

    def half_close_and_drain(self, limit: int) -> None:
        self._stream.half_close_and_drain(limit)


class FastCgiConnection(CgiConnection):
    """``status_line``: see ScgiConnection."""

    __slots__ = ("_records",)

    status_line = "Status:"

    def __init__(
        self, site: Site, stream: Stream, environ: dict[str, object], limits: Limits
    ) -> None:
        self._records = RecordStream(stream)
        # Typed as the stream it stands for: it has what exchanges use of one.
        super().__init__(site, self._records, environ, limits)  # type: ignore[arg-type]

    def _serve(self) -> None:
        records = self._records
        timeout = self.limits.head_timeout
        while True:
            self.stream.deadline = self.site.clock.now + timeout
            try:
                begun = self._await_request()
            except RemoteProtocolError as error:
                self.site.report(f"bad FastCGI request: {error}")
                return
            if begun is None:
                return
            request_id, keeps_connection = begun
            records.begin(request_id)
            try:
                exchange = self._read_request()
            except RemoteProtocolError as error:
                self.refuse(error)
                return
            self.stream.deadline = 0.0
            self.run(exchange)
            if not exchange.complete or exchange.upgraded:
                return
            records.end()
            stays = keeps_connection and not self.site.draining
            if not stays or not self._rest_is_read(exchange) or records.is_broken:
                super().close_gently()
                return
            timeout = self.limits.keepalive_timeout

    def close_gently(self) -> None:
        with contextlib.suppress(Disconnected):
            self._records.end()
        super().close_gently()

    def _rest_is_read(self, exchange: Exchange) -> bool:
        body = exchange.input
        if body is None or body.complete:
            return True
        try:
            return bool(body.discard(self.limits.discard_bytes))
        except RemoteProtocolError as error:
            # The request has its answer: what follows is nobody's.
            self.site.report(f"bad FastCGI request: {error}")
            return False

    def _await_request(self) -> tuple[int, bool] | None:
        """Return the id of the next request and whether the connection stays."""
        records = self._records
        while (record := records.next_record()) is not None:
            if record.kind == fastcgi.BEGIN_REQUEST:
                role, flags = fastcgi.decode_begin(record.content)
                if role == fastcgi.RESPONDER and record.request_id:
                    return record.request_id, bool(flags & fastcgi.KEEP_CONNECTION)
                self._answer(
                    fastcgi.encode_end(record.request_id, fastcgi.UNKNOWN_ROLE)
                )
            elif record.kind == fastcgi.GET_VALUES:
                self._answer(self._values(record.content))
            elif record.request_id == 0:
                unknown = bytes([record.kind]) + bytes(7)
                self._answer(fastcgi.encode_record(fastcgi.UNKNOWN_TYPE, 0, unknown))
            # Records of a request that has ended: an abort, the rest of a body.
        return None

    def _answer(self, octets: bytes) -> None:
        self._records._stream.send_all(octets)

    @staticmethod
    def _values(asked: bytes) -> bytes:
        names: dict[str, object] = {}
        fastcgi.decode_pairs(asked, names)
        pairs = [
            fastcgi.encode_pair(name, value)
            for name, value in _VALUES.items()
            if name.decode() in names
        ]
        return fastcgi.encode_record(fastcgi.GET_VALUES_RESULT, 0, b"".join(pairs))

    def _read_request(self) -> Exchange:
        records = self._records
        block = b""
        while True:
            record = records.next_record()
            if record is None:
                raise Disconnected("the front server closed within a request")
            if record.kind == fastcgi.BEGIN_REQUEST:
                busy = fastcgi.encode_end(record.request_id, fastcgi.CANT_MULTIPLEX)
                self._answer(busy)
                continue
            if record.request_id != records.request_id:
                continue  # the rest of a request that was just refused
            if record.kind == fastcgi.ABORT_REQUEST:
                raise Disconnected("the front server aborted the request")
            if record.kind != fastcgi.PARAMS:
                raise RemoteProtocolError(
                    f"FastCGI record {record.kind} before the end of the variables"
                )
            if not record.content:
                break
            block += record.content
            if len(block) > self.limits.head_bytes:
                raise RemoteProtocolError(
                    f"FastCGI variables longer than {self.limits.head_bytes} bytes", 431
                )
        environ = dict(DEFAULT_VARS)
        count = fastcgi.decode_pairs(block, environ)
        self.find_path(environ)
        length = self.complete_environ(environ)
        exchange = Exchange(self.site, self, environ)
        exchange.protocol = self.status_line
        exchange.packet_size = len(block)
        exchange.vars_count = count * 2
        self.is_head = environ["REQUEST_METHOD"] == "HEAD"
        if length:
            self.attach_body(exchange, length, b"")
        else:
            # A body of unknown length ends with an empty record.
            body = UnboundInput(
                records,
                before_first_read=None,
                extend_deadline=self._extend_read_deadline,
                limit=self.limits.body_bytes,
            )
            exchange.input = body
            environ["wsgi.input"] = body
        return exchange


class FastCgiNphConnection(FastCgiConnection):
    """For front servers that pass the answer on as it is."""

    __slots__ = ()

    status_line = "HTTP/1.1"
