"""A request that asks to become a websocket, and what becomes of it.

``Upgrade`` is made for each such request before the application runs. The application
decides: it accepts by whichever interface it uses, takes the bare socket, or answers
the request like any other. Whatever it was, ``end`` closes the connection properly
when the application has returned.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gevent.socket

from geuwsgi.errors import Disconnected, LocalProtocolError, RemoteProtocolError
from geuwsgi.net.stream import Stream
from geuwsgi.protocol.websocket import (
    INTERNAL_ERROR,
    NORMAL_CLOSURE,
    MessageDecoder,
)
from geuwsgi.protocol.websocket_handshake import (
    HandshakeRefused,
    accept_value,
    check_request,
    offered_subprotocols,
    response_head,
    select_subprotocol,
)
from geuwsgi.server.websocket.engine import WebSocket
from geuwsgi.server.websocket.relay import Relay
from geuwsgi.wsgi.response import RenderedHead, reason_phrase

OpenWebSocket: type[WebSocket]
try:
    from geuwsgi.server.websocket._quick import QuickWebSocket as OpenWebSocket
except ImportError:
    OpenWebSocket = WebSocket

if TYPE_CHECKING:
    from geuwsgi.protocol.websocket_deflate import DeflateAgreement
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.websocket.registry import WebSockets

_DISCARD_BYTES = 1 << 18
_LINGER_S = 2.0
_ENVIRON_KEYS = ("wsgi.websocket", "werkzeug.socket", "gunicorn.socket")


class Upgrade:
    """What may become of ``exchange``, which asks for a websocket.

    ``websocket`` is the engine once the application has accepted. The object lives
    as long as the exchange; ``end`` cuts it loose, so that no cycle is left.
    """

    __slots__ = (
        "_exchange",
        "_refused",
        "_relay",
        "_socket",
        "_sockets",
        "environ",
        "fd_is_known",
        "websocket",
    )

    def __init__(self, exchange: Exchange, sockets: WebSockets) -> None:
        self._exchange: Exchange | None = exchange
        self._sockets = sockets
        self._socket: Any = None
        self._relay: Relay | None = None
        self._refused = 0
        self.environ = exchange.environ
        self.websocket: WebSocket | None = None
        #: The application asked for the descriptor, and may wait for it.
        self.fd_is_known = False

    @property
    def draining(self) -> bool:
        """Whether the worker is about to close its websockets."""
        return self._sockets.draining

    def accept(
        self,
        *,
        key: str | None = None,
        subprotocol: str | None = None,
        supported: Sequence[str] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> WebSocket:
        """Complete the handshake and return the open websocket.

        ``subprotocol`` is sent as it is; ``supported`` chooses from the client's
        offer; without both, the only one that was offered is taken, if it was one.
        ``key`` is for applications that read the header themselves.

        Raises HandshakeRefused, after answering, if the request is not a valid
        handshake; LocalProtocolError if it was answered already; Disconnected.
        """
        exchange = self._running_exchange()
        try:
            if exchange.input is not None:
                raise HandshakeRefused("websocket handshake with a body")
            given = check_request(self.environ)
            chosen = self._choose_subprotocol(subprotocol, supported)
            agreement = self._negotiate()
        except RemoteProtocolError as error:
            self._refuse(exchange, error)
            raise
        head = response_head(
            accept_value(key or given),
            subprotocol=chosen,
            extensions=agreement.response if agreement is not None else None,
            headers=headers,
        )
        stream = exchange.hijack()
        settings = self._sockets.settings
        inflater = agreement.inflater() if agreement is not None else None
        websocket = OpenWebSocket(
            stream,
            MessageDecoder(settings.max_size, inflater),
            settings,
            exchange.site.clock,
            deflater=agreement.deflater() if agreement is not None else None,
            subprotocol=chosen,
            received=exchange.received,
            peekable=type(stream) is Stream,
        )
        exchange.received = b""
        stream.deadline = exchange.site.clock.now + settings.write_timeout
        stream.send_all(head)
        stream.deadline = 0.0
        exchange.header_bytes = len(head)
        self.websocket = websocket
        self._sockets.add(websocket)
        return websocket

    def hijack(self) -> Any:
        """Return the connection as a gevent socket; the server lets go of it.

        For libraries that bring their own websocket protocol. The socket is a
        duplicate: closing it does not pull the descriptor from under the server.
        Where the connection is no plain one, it is the end of a relay.
        Raises LocalProtocolError if the request was answered already.
        """
        if self._socket is None:
            exchange = self._running_exchange()
            stream = exchange.hijack()
            if type(stream) is Stream and not exchange.received:
                plain = stream.socket
            else:
                self._relay = Relay(stream, exchange.received, exchange.site.hub)
                plain = self._relay.plain
            self._socket = gevent.socket.socket(
                plain.family, plain.type, plain.proto, os.dup(plain.fileno())
            )
        return self._socket

    def descriptor(self) -> int:
        """Return a descriptor that can be read when there is something to receive.

        That is the connection's own, except for a websocket inside TLS: what was
        decrypted does not show there.
        """
        self.fd_is_known = True
        exchange = self._exchange
        if exchange is None:
            return -1
        websocket = self.websocket
        if websocket is not None and not websocket.peekable:
            websocket.move(self._relayed)
        if self._relay is not None:
            return self._relay.plain.fileno()
        return exchange.stream.fileno()

    def _relayed(self, received: bytes) -> Stream:
        assert self._exchange is not None
        hub = self._exchange.site.hub
        self._relay = Relay(self._exchange.stream, received, hub)
        return Stream(self._relay.plain, hub)

    def _running_exchange(self) -> Exchange:
        exchange = self._exchange
        if exchange is None:
            raise LocalProtocolError("the request of this websocket has ended")
        if exchange.upgraded:
            raise LocalProtocolError("the connection was handed over already")
        return exchange

    def _choose_subprotocol(
        self, subprotocol: str | None, supported: Sequence[str] | None
    ) -> str | None:
        if subprotocol is not None:
            return subprotocol or None
        offered = offered_subprotocols(
            str(self.environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", ""))
        )
        if supported is not None:
            return select_subprotocol(offered, supported)
        # uWSGI repeats the header. That is right for one name, and browsers fail the
        # connection if a list comes back, or if nothing does.
        return offered[0] if len(offered) == 1 else None

    def _negotiate(self) -> DeflateAgreement | None:
        deflate = self._sockets.settings.deflate
        header = self.environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS")
        if deflate is None or header is None:
            return None
        return deflate.negotiate(str(header))

    def _refuse(self, exchange: Exchange, error: RemoteProtocolError) -> None:
        """Answer in place of the application, whatever it may still say."""
        stream = exchange.hijack()
        self._refused = error.status
        body = f"{error}\n".encode("ascii", "backslashreplace")
        lines = [
            f"HTTP/1.1 {error.status} {reason_phrase(error.status)}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        for name, value in getattr(error, "headers", ()):
            if name != "Connection":
                lines.append(f"{name}: {value}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        with contextlib.suppress(Disconnected):
            stream.send_all(head.encode("ascii") + body)

    def end(self) -> None:
        """End what was made of the request. Parks the connection's greenlet."""
        exchange = self._exchange
        if exchange is None:
            return
        self._exchange = None
        for key in _ENVIRON_KEYS:
            self.environ.pop(key, None)
        websocket = self.websocket
        if websocket is not None:
            self._note(exchange, 101)
            exchange.body_bytes = websocket.bytes_sent
            self._finish(websocket, exchange)
        elif self._socket is not None:
            self._note(exchange, 101)
            self._end_hijacked(exchange)
        elif self._refused:
            self._note(exchange, self._refused)
            stream = exchange.stream
            stream.deadline = exchange.site.clock.now + _LINGER_S
            stream.half_close_and_drain(_DISCARD_BYTES)

    def _finish(self, websocket: WebSocket, exchange: Exchange) -> None:
        code, reason = NORMAL_CLOSURE, ""
        if self._sockets.draining:
            code, reason = self._sockets.farewell
        elif exchange.failed:
            code = INTERNAL_ERROR
        try:
            websocket.finish(code, reason)
        finally:
            self._sockets.discard(websocket)
            if self._relay is not None:
                self._relay.end(_LINGER_S)

    def _end_hijacked(self, exchange: Exchange) -> None:
        """Let the peer read the library's last frame, then close for everybody."""
        stream = exchange.stream
        if self._relay is not None:
            self._relay.end(_LINGER_S)
        else:
            stream.shutdown_write()
            stream.deadline = exchange.site.clock.now + _LINGER_S
            limit = _DISCARD_BYTES
            with contextlib.suppress(Disconnected):
                while limit > 0 and (received := stream.recv(65536)):
                    limit -= len(received)
            # A greenlet of the library's may still read the duplicate: wake it.
            with contextlib.suppress(OSError):
                stream.socket.shutdown(socket.SHUT_RDWR)
        stream.close()
        self._socket.close()

    @staticmethod
    def _note(exchange: Exchange, status: int) -> None:
        """Have the log say what the client was told."""
        head = RenderedHead(status, reason_phrase(status))
        exchange.head = head
        exchange.status = f"{status} {head.reason}"
