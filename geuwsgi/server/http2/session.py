"""One connection that speaks HTTP/2: many requests at once, a greenlet each.

The connection's greenlet reads and dispatches. Requests run in greenlets of their own
and write through here; whoever finds bytes to send and nobody sending sends them. The
protocol itself is h2's.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import gevent
import gevent.event
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from geuwsgi.errors import Disconnected, PeerTimeout, RemoteProtocolError
from geuwsgi.server.connection import READ_SIZE, SMALL_BODY, TOLD, Connection
from geuwsgi.server.context import ConnectionGreenlet
from geuwsgi.server.exchange import Exchange
from geuwsgi.server.http2.channel import Channel
from geuwsgi.server.http2.guard import FrameError, FrameGuard
from geuwsgi.server.http2.heads import Field, request_head
from geuwsgi.server.http2.request import RequestConnection, StreamExchange
from geuwsgi.server.lending import LEAST_RATE
from geuwsgi.wsgi.input import UnboundInput

if TYPE_CHECKING:
    from geuwsgi.net.stream import Stream

MAX_STREAMS = 128
#: How much of all bodies may come before it is read.
_CONNECTION_WINDOW = 1 << 20
_STREAM_WINDOW = 1 << 18
#: Frames wait for the socket up to this many bytes; then who makes them waits too.
_MAX_BUFFERED = 1 << 18
#: Resets a client may send for each request it lets finish (CVE-2023-44487).
_FREE_RESETS = 200


#: Bytes of a list of fields, with what HPACK counts for each (RFC 7541 §4.1): longer
#: ones end the connection, shorter ones, if they are too long, get a 431.
_MOST_FIELD_BYTES = 65536


class Session:
    """Serves HTTP/2 on ``connection``, of which ``received`` was read already."""

    def __init__(self, connection: Connection, received: bytes) -> None:
        self._connection = connection
        self._site = connection.site
        self._stream: Stream = connection.stream
        self._received = received
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=False)
        )
        self._guard = FrameGuard()
        self._channels: dict[int, Channel] = {}
        self._outgoing = bytearray()
        self._is_sending = False
        self._is_flush_due = False
        self._sent_all = gevent.event.Event()
        self._sent_all.set()
        self._none_left = gevent.event.Event()
        self._none_left.set()
        self._resets = 0
        self._finished = 0
        self._is_over = False
        self._has_client_left = False
        #: When what has begun to come, a frame or a head, must be there whole.
        self._whole_until = 0.0
        #: Seconds that a client may take nothing, 0 for ever.
        self.write_timeout = connection.limits.write_timeout

    # The connection

    def run(self) -> None:
        """Serve until either side ends it. Blocks the connection's greenlet."""
        try:
            self._h2.local_settings = h2.settings.Settings(
                client=False,
                initial_values={
                    h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
                    h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: (
                        self._connection.limits.head_bytes
                    ),
                },
            )
            self._h2.decoder.max_header_list_size = max(
                _MOST_FIELD_BYTES, 2 * self._connection.limits.head_bytes
            )
            self._h2.initiate_connection()
            self._h2.increment_flow_control_window(_CONNECTION_WINDOW - 65535)
            self._read()
        finally:
            for channel in list(self._channels.values()):
                channel.fail("the connection is closed")
            # Their greenlets write to this connection: it outlives them.
            self._none_left.wait()

    def _read(self) -> None:
        received = self._received
        connection = self._connection
        while True:
            try:
                self._guard.look(received, self._site.clock.now)
                events = self._h2.receive_data(received) if received else []
            except FrameError as exc:
                self._report_bad(exc)
                self._h2.close_connection(h2.errors.ErrorCodes(exc.code))
                self._flush_nowait()
                return
            except h2.exceptions.ProtocolError as exc:
                if self._is_over:
                    return  # it had not read yet that this is the end
                self._report_bad(exc)
                self._flush_nowait()
                return
            for event in events:
                self._dispatch(event)
            # Never waiting for a client that may itself wait for us to read, unless
            # it has us answer ever more of its frames without reading the answers.
            self._flush_nowait()
            if len(self._outgoing) > _MAX_BUFFERED:
                self._sent_all.wait()
            if self._is_over:
                return
            self._set_deadline()
            try:
                received = self._receive()
            except PeerTimeout:
                self._h2.close_connection()
                self._flush_nowait()
                return
            connection.idle = False
            if not received:
                return

    def _receive(self) -> bytes:
        stream = self._stream
        received = stream.recv_nowait(READ_SIZE)
        if received is None:
            return stream.recv_after_wait(READ_SIZE)
        # Who always has another frame is not the only one to be served. To
        # give it after each read, also where none waits, costs each request a turn.
        stream.let_others_run()
        return received

    def _set_deadline(self) -> None:
        """Say when the next bytes must come, and whether the connection is idle."""
        stream = self._stream
        is_idle = not self._channels
        self._connection.idle = is_idle and not self._guard.is_within
        if not is_idle:
            # While requests run, it is theirs to say how long they wait.
            self._whole_until = stream.deadline = 0.0
            return
        now = self._site.clock.now
        limits = self._connection.limits
        if not self._guard.is_within:
            self._whole_until = 0.0
            stream.deadline = now + limits.keepalive_timeout
            return
        if not self._whole_until:
            self._whole_until = now + limits.head_timeout
        stream.deadline = self._whole_until

    def _report_bad(self, exc: Exception) -> None:
        peer = self._connection.environ.get("REMOTE_ADDR", "?")
        # h2 quotes octets as they came; a line of the log is one line.
        told = str(exc)[:TOLD].encode("unicode_escape").decode("ascii")
        self._site.report(f"bad HTTP/2 from {peer}: {told}")

    def _dispatch(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event)
        elif isinstance(event, h2.events.DataReceived):
            self._take_data(event)
        elif isinstance(event, h2.events.StreamEnded):
            channel = self._channels.get(event.stream_id or 0)
            if channel is not None:
                channel.end_of_body()
        elif isinstance(event, h2.events.StreamReset):
            self._take_reset(event)
        elif isinstance(event, h2.events.WindowUpdated):
            if event.stream_id:
                channel = self._channels.get(event.stream_id)
                if channel is not None:
                    channel.window_opened()
            else:
                self._wake_all()
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self._wake_all()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._has_client_left = True
            self._is_over = not self._channels

    def _wake_all(self) -> None:
        for channel in self._channels.values():
            channel.window_opened()

    def _take_data(self, event: h2.events.DataReceived) -> None:
        channel = self._channels.get(event.stream_id or 0)
        counted = event.flow_controlled_length or 0
        if channel is not None:
            channel.take(event.data or b"", counted)
        elif counted:
            # Nobody reads it any more, but the connection's window must open again.
            self._h2.acknowledge_received_data(counted, event.stream_id or 0)

    def _take_reset(self, event: h2.events.StreamReset) -> None:
        channel = self._channels.get(event.stream_id or 0)
        if channel is not None:
            channel.fail("the client reset the stream")
        self._resets += 1
        if self._resets > _FREE_RESETS + self._finished:
            self._h2.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
            self._is_over = True

    # Requests

    def _begin(self, event: h2.events.RequestReceived) -> None:
        number = event.stream_id or 0
        channel = Channel(self, number)
        if event.stream_ended is not None:
            channel.end_of_body()
        request = RequestConnection(
            self._site,
            # Typed as the stream it stands for: it has what exchanges use of one.
            cast("Stream", channel),
            self._connection.environ,
            self._connection.limits,
        )
        request.listener = self._connection.listener
        self._channels[number] = channel
        self._none_left.clear()
        fields = cast("list[Field]", event.headers or [])
        has_body = event.stream_ended is None
        greenlet = ConnectionGreenlet(self._answer, self._site.hub)
        self._site.hub.loop.run_callback(
            greenlet.switch, request, channel, fields, has_body
        )

    def _answer(
        self,
        request: RequestConnection,
        channel: Channel,
        fields: list[Field],
        has_body: bool,
    ) -> None:
        """Answer one request, in its own greenlet."""
        try:
            try:
                exchange = self._exchange(request, channel, fields, has_body)
                self._await_small_body(exchange, channel)
            except RemoteProtocolError as error:
                exchange = Exchange(self._site, request, request.environ.copy())
                exchange.protocol = "HTTP/2.0"
                message = str(error)[:TOLD]
                self._site.report(f"bad HTTP/2 request: {message}")
                exchange.respond_error(error.status, message)
            else:
                if channel.has_failed:
                    return  # reset before it began
                request.run(exchange)
            channel.is_whole = exchange.complete and channel.may_end
            self._end(channel)
        except Disconnected:
            pass  # there is nobody to be told
        finally:
            self._forget(channel)

    def _exchange(
        self,
        request: RequestConnection,
        channel: Channel,
        fields: list[Field],
        has_body: bool,
    ) -> Exchange:
        site = self._site
        environ: dict[str, Any] = request.environ.copy()
        head = request_head(fields)
        most = request.limits.head_bytes
        if len(head) > most:
            raise RemoteProtocolError(f"request head longer than {most} bytes", 431)
        length, _ = site.parser.parse(head, environ)
        if length and not has_body:
            # RFC 9113 §8.1.1; a backend that is told so would wait for it.
            raise RemoteProtocolError(f"no body where {length} bytes were announced")
        environ["SERVER_PROTOCOL"] = "HTTP/2.0"
        exchange = StreamExchange(site, request, environ)
        exchange.protocol = "HTTP/2.0"
        request.is_head = environ["REQUEST_METHOD"] == "HEAD"
        limit = request.limits.body_bytes
        if 0 < limit < length:
            raise RemoteProtocolError(
                f"request body of {length} bytes, more than {limit}", 413
            )
        if has_body:

            def extend_deadline() -> None:
                channel.deadline = site.clock.now + request.limits.body_timeout

            body = UnboundInput(
                cast("Stream", channel),
                before_first_read=None,
                extend_deadline=extend_deadline,
                limit=limit,
            )
            exchange.input = body
            environ["wsgi.input"] = body
        if site.trust_forwarded_proto:
            scheme = environ.get("HTTP_X_FORWARDED_PROTO")
            if scheme in ("https", "http"):
                environ["wsgi.url_scheme"] = scheme
        return exchange

    def _await_small_body(self, exchange: Exchange, channel: Channel) -> None:
        """Wait for a body that is announced, or its beginning, as for HTTP/1.1.

        Until then the request holds no core. Raises RemoteProtocolError.
        """
        length = int(str(exchange.environ.get("CONTENT_LENGTH") or 0))
        if exchange.input is None or not length:
            return
        wanted = min(length, SMALL_BODY)
        timeout = self._connection.limits.body_timeout + wanted / LEAST_RATE
        try:
            channel.await_body(wanted, self._site.clock.now + timeout)
        except PeerTimeout:
            raise RemoteProtocolError(
                "request body not complete in time", 408
            ) from None

    def _end(self, channel: Channel) -> None:
        """End the stream: as it should, or so that the client sees it did not."""
        try:
            if channel.is_whole:
                self._h2.end_stream(channel.number)
                if not channel.has_whole_body:
                    # RFC 9113 §8.1: the answer is complete, the rest is not wanted.
                    self._h2.reset_stream(channel.number, h2.errors.ErrorCodes.NO_ERROR)
            else:
                self._h2.reset_stream(
                    channel.number, h2.errors.ErrorCodes.INTERNAL_ERROR
                )
        except h2.exceptions.ProtocolError:
            pass  # the client has ended it before
        self._flush()

    def _forget(self, channel: Channel) -> None:
        channel.close()
        self._channels.pop(channel.number, None)
        if not channel.has_failed:
            self._finished += 1
        if channel.unacknowledged:
            counted, channel.unacknowledged = channel.unacknowledged, 0
            self.acknowledge(channel.number, counted)
        if not self._channels:
            self._none_left.set()
            self._set_deadline()
            is_last = self._site.draining or self._has_client_left
            if is_last and not self._is_over:
                self._is_over = True
                self._say_goodbye()

    def _say_goodbye(self) -> None:
        # If it is closed already, so much the better.
        with contextlib.suppress(Disconnected, h2.exceptions.ProtocolError):
            self._h2.close_connection()
            self._flush()
        # The client closes, which ends the greenlet that reads.
        self._stream.shutdown_write()

    # For channels

    def now(self) -> float:
        """The time of deadlines."""
        return self._site.clock.now

    def let_others_run(self) -> None:
        """Give the other greenlets a turn. Raises Disconnected."""
        self._stream.let_others_run()

    def fileno(self) -> int:
        return self._stream.fileno()

    def send_head(self, number: int, fields: list[Field]) -> None:
        """Send the head of a response. Raises Disconnected."""
        try:
            self._h2.send_headers(number, fields)
        except h2.exceptions.ProtocolError as exc:
            raise Disconnected(f"the stream is closed: {exc}") from exc
        # Mostly it leaves with the first bytes of the body.
        self._flush_soon()

    def send_data(self, number: int, octets: memoryview) -> int:
        """Send as much as fits into one frame and the windows; how much it was."""
        try:
            room = min(
                self._h2.local_flow_control_window(number),
                self._h2.max_outbound_frame_size,
                len(octets),
            )
            if room <= 0:
                self._flush()
                return 0
            self._h2.send_data(number, bytes(octets[:room]))
        except h2.exceptions.ProtocolError as exc:
            raise Disconnected(f"the stream is closed: {exc}") from exc
        self._outgoing += self._h2.data_to_send()
        self._guard.taken(room)
        self._flush_soon()
        return room

    def acknowledge(self, number: int, counted: int) -> None:
        """Let the client send as much again."""
        try:
            self._h2.acknowledge_received_data(counted, number)
        except (h2.exceptions.ProtocolError, ValueError):
            return  # the connection is over
        self._flush_soon()

    # The socket

    def _flush(self) -> None:
        """Send what h2 has made; parks the greenlet while the client is slow.

        Raises Disconnected.
        """
        self._outgoing += self._h2.data_to_send()
        if self._is_sending:
            # Another greenlet sends it, and waiting for that keeps the pile small.
            self._sent_all.wait()
            return
        self._is_sending = True
        self._sent_all.clear()
        try:
            while self._outgoing:
                octets = bytes(self._outgoing)
                self._outgoing.clear()
                self._stream.send_all(octets)
                self._outgoing += self._h2.data_to_send()
        finally:
            self._is_sending = False
            self._sent_all.set()

    def _flush_nowait(self) -> None:
        """Send what the kernel takes at once, and have the rest follow."""
        self._outgoing += self._h2.data_to_send()
        if self._is_sending or not self._outgoing or self._stream.closed:
            return
        sent = self._stream.send_nowait(bytes(self._outgoing))
        del self._outgoing[:sent]
        if self._outgoing:
            gevent.spawn(self._flush_quietly)

    def _flush_quietly(self) -> None:
        with contextlib.suppress(Disconnected):  # who reads or writes is told
            self._flush()

    def _flush_soon(self) -> None:
        """Send when the running greenlet stops, if nothing more comes of it."""
        if len(self._outgoing) > _MAX_BUFFERED:
            self._flush()
        elif not self._is_flush_due:
            self._is_flush_due = True
            self._site.hub.loop.run_callback(self._flush_in_hub)

    def _flush_in_hub(self) -> None:
        self._is_flush_due = False
        with contextlib.suppress(Disconnected):
            self._flush_nowait()
