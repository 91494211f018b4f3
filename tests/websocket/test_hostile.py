"""Clients that mean harm: others go on, memory stays, and what is over is told."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.protocol.websocket import BINARY, PING, TEXT
from geuwsgi.testing.client import connect as connect_raw
from tests.protocol.websocket_frames import client_frame
from tests.websocket.conftest import SocketServer

UPGRADE = (
    b"GET /object HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n\r\n"
)
_ATTACKERS = 4
_SECONDS = 0.4


def _deflated(size: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=-12)
    octets = compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return octets[:-4]


BOMB = _deflated(200 << 20)
BEGIN = client_frame(TEXT, b"a", fin=False)

# What is sent first, what is sent over and over behind it, and the code of the end,
# None where there is none.
ATTACKS: dict[str, tuple[bytes, bytes, int | None]] = {
    "a bomb": (client_frame(BINARY, BOMB, rsv=4), b"", 1009),
    "a bomb in fragments": (
        client_frame(BINARY, BOMB[:100], rsv=4, fin=False)
        + b"".join(
            client_frame(0, BOMB[at : at + 100], fin=False)
            for at in range(100, len(BOMB), 100)
        ),
        b"",
        1009,
    ),
    "many small bombs": (b"", client_frame(BINARY, _deflated(1 << 20), rsv=4), None),
    "an endless message": (BEGIN, client_frame(0, b"b" * 1000, fin=False) * 50, 1009),
    "fragments of one byte": (BEGIN, client_frame(0, b"c", fin=False) * 5000, None),
    "empty fragments": (BEGIN, client_frame(0, b"", fin=False) * 5000, None),
    "pings": (b"", client_frame(PING, b"p" * 125) * 300, None),
    "pings between fragments": (
        BEGIN,
        (client_frame(PING, b"q") + client_frame(0, b"", fin=False)) * 2000,
        None,
    ),
    "messages of one byte": (b"", client_frame(TEXT, b"m") * 5000, None),
    "a huge frame that never comes": (
        client_frame(BINARY, b"", length=1 << 62),
        b"",
        1009,
    ),
    "the wrong mask": (b"", client_frame(TEXT, b"\xff" * 900), 1007),
}


class Attack:
    """Some connections on which one attack goes on, again and again."""

    def __init__(self, address: str, first: bytes, again: bytes) -> None:
        self.codes: set[int] = set()
        self._stopped = threading.Event()
        self._address, self._first, self._again = address, first, again
        self._threads = [threading.Thread(target=self._run) for _ in range(_ATTACKERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with connect_raw(self._address) as sock, contextlib.suppress(OSError):
                self._attack(sock)

    def _attack(self, sock: socket.socket) -> None:
        sock.sendall(UPGRADE)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(1)
        sock.sendall(self._first)
        sock.settimeout(0.05)
        # Nothing is read meanwhile, so what is answered piles up.
        with contextlib.suppress(OSError):
            while self._again and not self._stopped.is_set():
                sock.sendall(self._again)
        sock.settimeout(1)
        with contextlib.suppress(OSError):
            while (received := sock.recv(65536)) and not self._stopped.is_set():
                if received[0] == 0x88:
                    self.codes.add(int.from_bytes(received[2:4], "big"))
                    return


@contextlib.contextmanager
def under_attack(address: str, first: bytes, again: bytes) -> Iterator[Attack]:
    attack = Attack(address, first, again)
    try:
        yield attack
    finally:
        attack.stop()


def _cpu_seconds(server: SocketServer) -> float:
    """Return the processor time that all processes of the server have used."""
    ticks = 0
    for pid in server.process.processes():
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory(server: SocketServer) -> int:
    """Return the resident bytes of all processes of the server."""
    pages = sum(
        int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        for pid in server.process.processes()
    )
    return pages * resource.getpagesize()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_others_do_not_notice(server: SocketServer, name: str) -> None:
    first, again, code = ATTACKS[name]
    with server.connect("/object") as client:
        client.send("before")
        assert client.recv(timeout=5) == "before"
        memory, used = _memory(server), _cpu_seconds(server)
        with under_attack(server.http, first, again) as attack:
            began = time.monotonic()
            for number in itertools.count(1):
                client.send(str(number))
                assert client.recv(timeout=20) == str(number)
                if time.monotonic() - began > _SECONDS and number >= 10:
                    break
            used = _cpu_seconds(server) - used
            grown = _memory(server) - memory
        # In processor time, so that a busy machine does not count: the worker has
        # something to do all the time, so this is how long an echo takes on a core.
        assert used / number < 0.1
        assert grown < 40 << 20
        if code is not None:
            assert attack.codes == {code}
    assert "Traceback" not in server.process.log


def test_a_frame_that_comes_byte_by_byte_is_one_message(server: SocketServer) -> None:
    with server.connect("/object") as client, connect_raw(server.http) as sock:
        sock.sendall(UPGRADE)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(1)
        frame = client_frame(TEXT, b"slow" * 50)
        for at in range(len(frame)):
            sock.sendall(frame[at : at + 1])
            if at % 50 == 0:
                client.send("between")
                assert client.recv(timeout=5) == "between"
        answer = b""
        while len(answer) < 4 + 200:
            answer += sock.recv(1000)
        assert answer[0] == 0x80 | TEXT
        assert answer[4:] == b"slow" * 50
