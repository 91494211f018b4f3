"""Websockets for applications that are written for geuwsgi.

    from geuwsgi import websocket

    def application(environ, start_response):
        ws = websocket.accept(environ, subprotocols=["chat.v1"])
        for message in ws:          # str or bytes, as the client sent it
            ws.send(message)
        return []

The loop ends when the websocket does. Any greenlet may send, and ``broadcast`` sends to
many. What this module does not do is pinging, answering pings and the closing
handshake: those happen by themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import gevent

from geuwsgi.protocol.websocket import BINARY, TEXT, encode_frame
from geuwsgi.protocol.websocket_handshake import HandshakeRefused
from geuwsgi.server.websocket.closed import WebSocketClosed
from geuwsgi.server.websocket.engine import WebSocket as Engine
from geuwsgi.server.websocket.faces import GeventWebSocket
from geuwsgi.server.websocket.upgrade import Upgrade

__all__ = [
    "HandshakeRefused",
    "WebSocket",
    "WebSocketClosed",
    "accept",
    "broadcast",
    "is_offered",
]

Message = str | bytes


def is_offered(environ: Mapping[str, Any]) -> bool:
    """Whether the request asks to become a websocket."""
    return isinstance(environ.get("wsgi.websocket"), GeventWebSocket)


def accept(
    environ: Mapping[str, Any],
    *,
    subprotocols: Sequence[str] = (),
    headers: Sequence[tuple[str, str]] = (),
) -> WebSocket:
    """Complete the handshake of a request and return the open websocket.

    The first of ``subprotocols`` that the client offers is chosen; ``headers`` are
    added to the response. Raises HandshakeRefused if the request is no valid
    handshake; let it pass, and the client is told.
    """
    offer = environ.get("wsgi.websocket")
    if not isinstance(offer, GeventWebSocket):
        raise HandshakeRefused(
            "the request asks for no websocket", 426, [("Upgrade", "websocket")]
        )
    upgrade = offer.upgrade
    return WebSocket(upgrade, upgrade.accept(supported=subprotocols, headers=headers))


class WebSocket:
    """An open websocket. Usable from any greenlet; one receives at a time."""

    __slots__ = ("_engine", "_upgrade")

    def __init__(self, upgrade: Upgrade, engine: Engine) -> None:
        self._upgrade = upgrade
        self._engine = engine

    @property
    def environ(self) -> dict[str, Any]:
        """The WSGI environ of the request."""
        return self._upgrade.environ

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._engine.subprotocol

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._engine.is_open

    @property
    def close_code(self) -> int:
        """The code of the end, as in WebSocketClosed; 1006 before it."""
        return self._engine.close_code

    @property
    def close_reason(self) -> str:
        """The reason of the end, often empty."""
        return self._engine.close_reason

    @property
    def draining(self) -> bool:
        """Whether the worker is about to end: a close with 1012 or 1001 follows."""
        return self._upgrade.draining

    def recv(self, timeout: float | None = None) -> Message:
        """Return the next message, text as str.

        Raises WebSocketClosed at the end, TimeoutError after ``timeout`` seconds.
        """
        engine = self._engine
        if timeout is None:
            message = engine.recv()
        else:
            with gevent.Timeout(timeout, TimeoutError("no message came in time")):
                message = engine.recv()
        return message.decode() if engine.opcode == TEXT else message

    def __iter__(self) -> Iterator[Message]:
        """Give message after message, until the websocket ends, however it does."""
        while True:
            try:
                message = self.recv()
            except WebSocketClosed:
                return
            yield message

    def send(self, message: Message) -> None:
        """Send a message: str as text, bytes as binary.

        Parks the greenlet while the client is slow. Raises WebSocketClosed.
        """
        if isinstance(message, str):
            self._engine.send(message.encode(), TEXT)
        else:
            self._engine.send(bytes(message), BINARY)

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping. The server does so by itself when a client is silent."""
        self._engine.ping(payload)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake; the receiving greenlet learns of its end."""
        self._engine.close(code, reason)


def broadcast(connections: Iterable[WebSocket], message: Message) -> int:
    """Send a message to many; return to how many.

    The message is framed once, and compressed once for all that want it so. Never
    parks: what a slow client cannot take at once is sent behind the caller's back, up
    to 1 MiB, and a client with more than that to catch up on is disconnected.
    Closed connections are passed over.
    """
    if isinstance(message, str):
        opcode, payload = TEXT, message.encode()
    else:
        opcode, payload = BINARY, bytes(message)
    plain = encode_frame(opcode, payload)
    compressed: dict[int, bytes] = {}
    reached = 0
    for connection in connections:
        engine = connection._engine
        bits = engine.window_bits_for(payload)
        if not bits:
            reached += engine.push(plain)
            continue
        frame = compressed.get(bits)
        if frame is None:
            frame = compressed[bits] = encode_frame(
                opcode, _compress(payload, bits), compressed=True
            )
        reached += engine.push(frame, compressed=True)
    return reached


def _compress(payload: bytes, bits: int) -> bytes:
    compressor = zlib.compressobj(wbits=-bits)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
