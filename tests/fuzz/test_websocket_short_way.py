"""Websockets of the short, compiled way do what those of the long way do.

The same almost right frames come over a real socket, whole or in pieces, to an
application that sends every message back: it has to hear the same, and the client too.
"""

from __future__ import annotations

import contextlib
import os
import socket
from random import Random

import gevent
import pytest
from gevent import get_hub

from geuwsgi.net.clock import Clock
from geuwsgi.net.stream import Stream
from geuwsgi.protocol.websocket import MessageDecoder
from geuwsgi.server.websocket.closed import WebSocketClosed
from geuwsgi.server.websocket.engine import WebSocket
from geuwsgi.server.websocket.settings import WebSocketSettings
from tests.fuzz.frames import client_frames

quick = pytest.importorskip(
    "geuwsgi.server.websocket._quick", reason="geuwsgi was installed without compiling"
)

INPUTS = int(os.environ.get("GEUWSGI_FUZZ_INPUTS", "4000")) // 20
SEED = int(os.environ.get("GEUWSGI_FUZZ_SEED", "1"))

#: What the application heard, how it ended, and all that the client got.
Told = tuple[list[tuple[int, bytes]], str, bytes]


def told(kind: type[WebSocket], pieces: list[bytes], received: bytes) -> Told:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = Stream(ours, get_hub())
    settings = WebSocketSettings()
    websocket = kind(
        stream,
        MessageDecoder(settings.max_size, None),
        settings,
        Clock(),
        deflater=None,
        received=received,
        peekable=True,
    )

    def speak() -> None:
        for piece in pieces:
            theirs.sendall(piece)
            gevent.sleep(0)
        theirs.shutdown(socket.SHUT_WR)

    speaking = gevent.spawn(speak)
    heard: list[tuple[int, bytes]] = []
    try:
        while True:
            message = websocket.recv()
            heard.append((websocket.opcode, bytes(message)))
            websocket.send(message, websocket.opcode)
    except WebSocketClosed as exc:
        end = f"{exc.code} {exc.reason}"
    finally:
        speaking.get()
        stream.close()
    seen = b""
    # Reset where something was left unread, after what had been sent.
    with contextlib.suppress(ConnectionResetError):
        while piece := theirs.recv(65536):
            seen += piece
    theirs.close()
    return heard, end, seen


def differs(random: Random) -> object:
    wire = b"".join(client_frames(random) for _ in range(random.choice((1, 1, 2, 3))))
    early = random.choice((0, 0, random.randrange(len(wire) + 1)))
    cuts = sorted(
        random.randrange(early, len(wire) + 1)
        for _ in range(random.choice((0, 0, 1, 3)))
    )
    pieces = [
        wire[start:end]
        for start, end in zip([early, *cuts], [*cuts, len(wire)], strict=True)
    ]
    short = told(quick.QuickWebSocket, pieces, wire[:early])
    long = told(WebSocket, pieces, wire[:early])
    return None if short == long else (wire[:early], pieces, short, long)


@pytest.mark.timeout(24 * 3600)
def test_both_ways_tell_the_same() -> None:
    random = Random(SEED)
    for _ in range(INPUTS):
        assert differs(random) is None
