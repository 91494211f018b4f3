"""A websocket's two ends: the engine on a stream, and a peer that speaks raw frames."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket
from gevent import get_hub

from geuwsgi.net.clock import Clock
from geuwsgi.net.stream import Stream
from geuwsgi.protocol.websocket import MessageDecoder
from geuwsgi.protocol.websocket_deflate import (
    DeflateAgreement,
    DeflateSettings,
    negotiate,
)
from geuwsgi.server.websocket.settings import WebSocketSettings
from geuwsgi.server.websocket.upgrade import OpenWebSocket
from tests.protocol.websocket_frames import client_frame


class Ends:
    """``websocket`` is ours; ``sock`` is the peer's end of the connection."""

    def __init__(
        self,
        settings: WebSocketSettings | None = None,
        *,
        received: bytes = b"",
        peekable: bool = True,
        small_buffers: bool = False,
        agreement: DeflateAgreement | None = None,
    ) -> None:
        ours, theirs = socket.socketpair()
        if small_buffers:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours.setblocking(False)
        self.settings = settings or WebSocketSettings()
        self.clock = Clock()
        self._ours = ours
        self.stream = Stream(ours, get_hub())
        self.sock = gevent.socket.socket(fileno=theirs.detach())
        self.sock.settimeout(5)
        self.websocket = OpenWebSocket(
            self.stream,
            MessageDecoder(
                self.settings.max_size, agreement.inflater() if agreement else None
            ),
            self.settings,
            self.clock,
            deflater=agreement.deflater() if agreement else None,
            received=received,
            peekable=peekable,
        )

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.sock.close()
        self.stream.close()

    def says(self, opcode: int, payload: bytes = b"", **how: Any) -> None:
        """Have the peer send a frame."""
        self.sock.sendall(client_frame(opcode, payload, **how))

    def sees(self) -> tuple[int, bytes]:
        """Return the first byte and payload of the next frame the peer got."""
        first, size = self._exactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
        return first, self._exactly(size)

    def sees_nothing(self) -> bool:
        """Whether nothing is there for the peer."""
        ready, _, _ = select.select([self.sock.fileno()], [], [], 0)
        return not ready

    def sees_end(self) -> bool:
        return bool(self.sock.recv(1) == b"")

    def _exactly(self, size: int) -> bytes:
        pieces = b""
        while len(pieces) < size:
            piece = self.sock.recv(size - len(pieces))
            if not piece:
                raise EOFError(f"{len(pieces)} of {size} bytes came")
            pieces += piece
        return pieces

    def tick(self, times: int = 1) -> None:
        """Let ``times`` seconds pass for the engine."""
        for _ in range(times):
            self.clock.now += 1.0
            self.websocket.tick()
            if 0.0 < self.stream.deadline <= self.clock.now and self.stream.is_waiting:
                self.stream.expire()


def deflate_agreement(**settings: Any) -> DeflateAgreement:
    agreement = negotiate("permessage-deflate", DeflateSettings(**settings))
    assert agreement is not None
    return agreement


def until(condition: Callable[[], object]) -> None:
    """Let greenlets run until ``condition`` holds; at most five seconds."""
    with gevent.Timeout(5):
        while not condition():
            gevent.sleep(0.001)
