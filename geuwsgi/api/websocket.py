"""``uwsgi.websocket_*``: types and errors of uWSGI, over geuwsgi's engine.

What differs, on purpose: messages are whole and belong to their connection; pings are
the server's business; every function may be called from any greenlet of the request
(or with ``request_context=`` from anywhere); exceptions thrown into a waiting greenlet
pass through. An error at the end of a websocket carries its ``code`` and ``reason``.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from geuwsgi.api.basic import as_bytes, require_exchange
from geuwsgi.errors import Disconnected, ProtocolError, RemoteProtocolError
from geuwsgi.protocol.websocket import ABNORMAL_CLOSURE, BINARY, TEXT
from geuwsgi.server.context import current_exchange
from geuwsgi.server.websocket.closed import WebSocketClosed

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.websocket.engine import WebSocket

Text = str | bytes


class WebSocketIOError(Disconnected, OSError):
    """The OSError of a websocket that has ended: a disconnect, nobody's fault."""

    def __init__(self, message: str, closed: WebSocketClosed | None = None) -> None:
        super().__init__(message)
        self.code = closed.code if closed is not None else ABNORMAL_CLOSURE
        self.reason = closed.reason if closed is not None else ""


class HandshakeError(RemoteProtocolError, OSError):
    """The OSError of a request that cannot become a websocket."""


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions of this part."""
    areas = _AreaSenders(module)
    for function in (
        request_context,
        websocket_handshake,
        websocket_recv,
        websocket_recv_nb,
        websocket_send,
        websocket_send_binary,
        areas.websocket_send_from_sharedarea,
        areas.websocket_send_binary_from_sharedarea,
    ):
        setattr(module, function.__name__, function)


def request_context() -> Exchange:
    """Return what stands for the running request in other greenlets (uWSGI 2.1)."""
    return require_exchange()


def websocket_handshake(
    key: Text | None = None,
    origin: Text | None = None,
    proto: Text | None = None,
    *,
    request_context: Exchange | None = None,
) -> None:
    """Make a websocket of the request.

    ``proto`` is the subprotocol to choose; without it the only one that the client
    offered is taken. ``origin`` is for the application to check and is not sent.
    Raises OSError if the request is not a valid handshake; it is answered then.
    """
    exchange = request_context or require_exchange()
    message = "unable to complete websocket handshake"
    wanted = None if key is None else as_bytes(key).decode("latin-1")
    chosen = None if proto is None else as_bytes(proto).decode("latin-1")
    if origin is not None:
        as_bytes(origin)
    upgrade = exchange.upgrade
    if upgrade is None:
        raise HandshakeError(f"{message}: the request asks for no websocket", 426)
    try:
        upgrade.accept(key=wanted or None, subprotocol=chosen or None)
    except RemoteProtocolError as error:
        raise HandshakeError(f"{message}: {error}", error.status) from None
    except ProtocolError as error:
        raise HandshakeError(f"{message}: {error}") from None
    except Disconnected as error:
        raise WebSocketIOError(f"{message}: {error}") from None


def websocket_recv(request_context: Exchange | None = None) -> bytes:
    """Return the next message, text as UTF-8; OSError at the end of the websocket."""
    exchange = request_context or current_exchange()
    websocket = _websocket(exchange, "unable to receive websocket message")
    # Who asked for the descriptor may select on it before each message. The newer
    # interface, with a context, is used by those who only receive.
    leave_rest = request_context is None and exchange.upgrade.fd_is_known  # type: ignore[union-attr]
    try:
        return websocket.recv(leave_rest)
    except WebSocketClosed as closed:
        raise WebSocketIOError(
            f"unable to receive websocket message: {closed}", closed
        ) from None


def websocket_recv_nb(request_context: Exchange | None = None) -> bytes:
    """Return a message if one is there, b"" if not; OSError at the end."""
    exchange = request_context or current_exchange()
    websocket = _websocket(exchange, "unable to receive websocket message")
    try:
        return websocket.recv_nowait() or b""
    except WebSocketClosed as closed:
        raise WebSocketIOError(
            f"unable to receive websocket message: {closed}", closed
        ) from None


def websocket_send(message: Text, request_context: Exchange | None = None) -> None:
    """Send a text message, UTF-8 if it is bytes; OSError at the end."""
    exchange = request_context or current_exchange()
    websocket = _websocket(exchange, "unable to send websocket message")
    payload = message if type(message) is bytes else as_bytes(message)
    try:
        websocket.send(payload, TEXT)
    except WebSocketClosed as closed:
        raise WebSocketIOError(
            f"unable to send websocket message: {closed}", closed
        ) from None


def websocket_send_binary(
    message: Text, request_context: Exchange | None = None
) -> None:
    """Send a binary message; OSError at the end."""
    exchange = request_context or current_exchange()
    websocket = _websocket(exchange, "unable to send websocket binary message")
    payload = message if type(message) is bytes else as_bytes(message)
    try:
        websocket.send(payload, BINARY)
    except WebSocketClosed as closed:
        raise WebSocketIOError(
            f"unable to send websocket binary message: {closed}", closed
        ) from None


def _websocket(exchange: Exchange | None, failure: str) -> WebSocket:
    if exchange is None:
        exchange = require_exchange()
    upgrade = exchange.upgrade
    websocket: WebSocket | None = upgrade.websocket if upgrade is not None else None
    if websocket is None:
        raise WebSocketIOError(f"{failure}: the request is not a websocket")
    return websocket


class _AreaSenders:
    """The functions that send out of a shared area, which ``module`` reads.

    uWSGI has them in C and its manual; its Python module lost them on the way. Errors
    are those of the other senders: OSError, also for bytes that the area has not.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def websocket_send_from_sharedarea(
        self,
        area: int,
        position: int,
        length: int = 0,
        request_context: Exchange | None = None,
    ) -> None:
        """Send a text message of ``length`` bytes (0: all) of a shared area."""
        failure = "unable to send websocket message"
        message = self._read(area, position, length, failure)
        websocket_send(message, request_context)

    def websocket_send_binary_from_sharedarea(
        self,
        area: int,
        position: int,
        length: int = 0,
        request_context: Exchange | None = None,
    ) -> None:
        """Send a binary message of ``length`` bytes (0: all) of a shared area."""
        failure = "unable to send websocket binary message"
        message = self._read(area, position, length, failure)
        websocket_send_binary(message, request_context)

    def _read(self, area: int, position: int, length: int, failure: str) -> bytes:
        read = getattr(self._module, "sharedarea_read", None)
        if read is None:
            raise OSError(f"{failure}: there is no shared area")
        arguments = (area, position, length) if length else (area, position)
        try:
            return bytes(read(*arguments))
        except ValueError:
            raise OSError(
                f"{failure}: shared area {area} has no such bytes: {position}, {length}"
            ) from None
