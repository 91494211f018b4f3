"""What a request that asks for a websocket finds in its environ.

Three interfaces that libraries look for, made for upgrade requests only and costing a
small object each. None of them does anything before it is used: an application may
look at them and still answer with a page.

``wsgi.websocket``
    gevent-websocket's object: flask-sockets, python-engineio's gevent mode.
``werkzeug.socket``, ``gunicorn.socket``
    the bare socket: simple-websocket, flask-sock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geuwsgi.errors import Disconnected, LocalProtocolError
from geuwsgi.protocol.websocket import BINARY, CLOSE, PING, PONG, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.websocket.engine import WebSocket
    from geuwsgi.server.websocket.upgrade import Upgrade


def offer_faces(upgrade: Upgrade, exchange: Exchange) -> None:
    """Put the interfaces into the environ of ``exchange``."""
    environ = exchange.environ
    environ["wsgi.websocket"] = GeventWebSocket(upgrade)
    lazy = LazySocket(upgrade)
    environ["werkzeug.socket"] = lazy
    environ["gunicorn.socket"] = lazy


class LazySocket:
    """A socket that takes the connection over when it is first used."""

    __slots__ = ("_upgrade",)

    def __init__(self, upgrade: Upgrade) -> None:
        self._upgrade = upgrade

    def __getattr__(self, name: str) -> Any:
        return getattr(self._upgrade.hijack(), name)


class WebSocketError(OSError):
    """What gevent-websocket raises on a dead websocket."""


class GeventWebSocket:
    """The interface of gevent-websocket's ``WebSocket`` (0.10).

    The handshake is done when the first message is sent or awaited, or when anything
    else is asked that makes no sense before it.
    """

    OPCODE_CONTINUATION = 0
    OPCODE_TEXT = TEXT
    OPCODE_BINARY = BINARY
    OPCODE_CLOSE = CLOSE
    OPCODE_PING = PING
    OPCODE_PONG = PONG

    __slots__ = ("environ", "upgrade")

    def __init__(self, upgrade: Upgrade) -> None:
        self.upgrade = upgrade
        self.environ = upgrade.environ

    @property
    def origin(self) -> Any:
        return self.environ.get("HTTP_ORIGIN")

    @property
    def protocol(self) -> Any:
        return self.environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL")

    @property
    def version(self) -> Any:
        return self.environ.get("HTTP_SEC_WEBSOCKET_VERSION")

    @property
    def path(self) -> Any:
        return self.environ.get("PATH_INFO")

    @property
    def closed(self) -> bool:
        return not self._open().is_open

    def receive(self) -> str | bytearray | None:
        """Return the next message, text as str; None at the end.

        Raises WebSocketError if the end was told already.
        """
        websocket = self._open()
        if not websocket.is_open:
            raise WebSocketError("Connection is already closed")
        try:
            message = websocket.recv()
        except Disconnected:
            return None
        return message.decode() if websocket.opcode == TEXT else bytearray(message)

    read_message = receive

    def send(self, message: str | bytes, binary: bool | None = None) -> None:
        """Send a message, text if it is a str. Raises WebSocketError at the end."""
        if binary is None:
            binary = not isinstance(message, str)
        self.send_frame(message, BINARY if binary else TEXT)

    def send_frame(self, message: Any, opcode: int) -> None:
        """Send one frame. Raises WebSocketError at the end."""
        if opcode == BINARY or isinstance(message, bytes | bytearray | memoryview):
            payload = bytes(message)
        else:
            payload = str(message or "").encode()
        websocket = self._open()
        try:
            if opcode == CLOSE:
                websocket.close()
            elif opcode == PING:
                websocket.ping(payload)
            else:
                websocket.send(payload, opcode)
        except Disconnected:
            raise WebSocketError("Socket is dead") from None

    def close(self, code: int = 1000, message: str | bytes = b"") -> None:
        """Send a close frame. Closing twice does nothing."""
        reason = message if isinstance(message, str) else message.decode()
        self._open().close(code, reason)

    def __iter__(self) -> Iterator[str | bytearray]:
        while (message := self.receive()) is not None:
            yield message

    def _open(self) -> WebSocket:
        websocket = self.upgrade.websocket
        if websocket is None:
            try:
                websocket = self.upgrade.accept()
            except LocalProtocolError as error:
                raise WebSocketError(str(error)) from None
        return websocket
