"""Steady mixed traffic, and a count of what was lost of it.

To see what a deploy does to the visitors of a site: start the traffic, reload, stop it
and look at the tallies. The site runs `geuwsgi.testing.traffic_application`, under any
server. Nothing is ever asked twice: what a browser would quietly repeat is a loss here.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from geuwsgi.testing.client import Client, MalformedResponse, Response
from geuwsgi.testing.traffic_application import PIECE, STREAM_PIECES

STREAM_S = 0.8
POLL_S = 1.0
UPLOAD_PIECE = 128 * 1024
UPLOAD_PIECES = 24
PAUSE_S = 0.02  # between requests of one client
PATIENCE_S = 30.0


class Lost(Exception):
    """One exchange failed; the message says how, in a few words."""


@dataclass
class Tally:
    """What became of one kind of exchange."""

    answered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0

    @property
    def lost_in_all(self) -> int:
        return sum(self.lost.values())


class Traffic:
    """Clients of each kind in ``clients``, from ``with`` to its end.

    The kinds are the keys of ``EVERYTHING``, whose values are modest numbers.
    ``tallies`` and ``first_seen`` (when each version answered first, monotonic) may be
    read at any time.
    """

    def __init__(self, address: str, clients: Mapping[str, int]) -> None:
        self._address = address
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self.tallies = {kind: Tally() for kind in clients}
        self.first_seen: dict[str, float] = {}
        kinds: dict[str, Callable[[], None]] = {
            "short": self._short,
            "keep-alive": self._keep_alive,
            "upload": self._upload,
            "stream": self._stream,
            "long poll": self._poll,
            "websocket": self._websocket,
        }
        self._threads = [
            threading.Thread(target=self._run, args=(kind, kinds[kind]), daemon=True)
            for kind, count in clients.items()
            for _ in range(count)
        ]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every exchange come to its end."""
        self._ending.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def losses(self) -> dict[str, dict[str, int]]:
        """What was lost of each kind, without the kinds that lost nothing."""
        return {
            kind: dict(tally.lost) for kind, tally in self.tallies.items() if tally.lost
        }

    def has_seen(self, version: str) -> bool:
        return version in self.first_seen

    # -- clients -----------------------------------------------------------------------

    def _run(self, kind: str, talk: Callable[[], None]) -> None:
        while not self._ending.is_set():
            try:
                talk()
            except Lost as exc:
                self._lose(kind, str(exc))
            except ConnectionRefusedError:
                self._lose(kind, "refused")
            except (ConnectionResetError, BrokenPipeError):
                self._lose(kind, "reset")
            except TimeoutError:
                self._lose(kind, "timeout")
            except MalformedResponse:
                self._lose(kind, "closed without an answer")
            except OSError as exc:
                self._lose(kind, str(exc))
            self._ending.wait(PAUSE_S)

    def _lose(self, kind: str, how: str) -> None:
        with self._lock:
            self.tallies[kind].lost[how] += 1
        self._ending.wait(0.1)

    def _succeed(self, kind: str, begun: float) -> None:
        took = time.monotonic() - begun
        with self._lock:
            tally = self.tallies[kind]
            tally.answered += 1
            tally.longest_s = max(tally.longest_s, took)

    def _saw(self, version: str) -> None:
        with self._lock:
            self.first_seen.setdefault(version, time.monotonic())

    def _short(self) -> None:
        begun = time.monotonic()
        with Client(self._address, PATIENCE_S) as client:
            response = client.request("/", headers=(("Connection", "close"),))
            self._saw(_checked(response).text.split()[0])
        self._succeed("short", begun)

    def _keep_alive(self) -> None:
        with Client(self._address, PATIENCE_S) as client:
            while not self._ending.is_set():
                begun = time.monotonic()
                response = _checked(client.request("/"))
                self._succeed("keep-alive", begun)
                if (response.header("Connection") or "").lower() == "close":
                    return
                if response.version == "HTTP/1.0":
                    return
                self._ending.wait(0.1)

    def _upload(self) -> None:
        begun = time.monotonic()
        length = UPLOAD_PIECE * UPLOAD_PIECES
        with Client(self._address, PATIENCE_S) as client:
            client.send(
                b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n" % length
            )
            for _ in range(UPLOAD_PIECES):
                client.send(bytes(UPLOAD_PIECE))
                time.sleep(0.02)
            if _checked(client.read_response()).text != str(length):
                raise Lost("an upload came in part")
        self._succeed("upload", begun)

    def _stream(self) -> None:
        begun = time.monotonic()
        with Client(self._address, PATIENCE_S) as client:
            response = _checked(client.request(f"/stream?{STREAM_S}"))
            if response.body != PIECE * STREAM_PIECES:
                raise Lost("truncated")
        self._succeed("stream", begun)

    def _poll(self) -> None:
        begun = time.monotonic()
        with Client(self._address, PATIENCE_S) as client:
            _checked(client.request(f"/poll?{POLL_S}"))
        self._succeed("long poll", begun)

    def _websocket(self) -> None:
        """One connection, until the server closes it as the protocol says."""
        with Client(self._address, PATIENCE_S) as client:
            client.send(
                b"GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            head = client.read_until(b"\r\n\r\n")
            if not head:
                raise Lost("closed without an answer")
            if head[9:12] != b"101":
                raise Lost(f"status {head[9:12].decode('latin-1')}")
            connection = client.socket
            while not self._ending.is_set():
                begun = time.monotonic()
                # No mask is a valid mask of zeros.
                connection.sendall(b"\x81\x84\0\0\0\0ping")
                if not self._echoed(connection):
                    return
                self._succeed("websocket", begun)
                self._ending.wait(0.1)
            connection.sendall(b"\x88\x82\0\0\0\0\x03\xe8")

    def _echoed(self, connection: socket.socket) -> bool:
        """Whether the echo came; false if the server said goodbye instead."""
        while True:
            opcode, payload = _read_frame(connection)
            if opcode == 8:
                code = int.from_bytes(payload[:2], "big")
                if code not in (1000, 1001, 1012):
                    raise Lost(f"closed with {code}")
                connection.sendall(b"\x88\x82\0\0\0\0" + payload[:2])
                return False
            if opcode == 1:
                return True


#: Every kind, and how many clients of it are enough to meet each moment of a reload.
EVERYTHING: Mapping[str, int] = {
    "short": 2,
    "keep-alive": 4,
    "upload": 2,
    "stream": 3,
    "long poll": 4,
    "websocket": 6,
}


def _checked(response: Response) -> Response:
    if response.status != 200:
        raise Lost(f"status {response.status}")
    if not response.complete:
        raise Lost("truncated")
    return response


def _read_frame(connection: socket.socket) -> tuple[int, bytes]:
    head = _take(connection, 2)
    length = head[1] & 0x7F
    if length == 126:
        length = int.from_bytes(_take(connection, 2), "big")
    return head[0] & 0x0F, _take(connection, length)


def _take(connection: socket.socket, size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        received = connection.recv(size - len(taken))
        if not received:
            raise Lost("cut without a close frame")
        taken += received
    return taken


def write_version(path: str | os.PathLike[str], version: str) -> None:
    """Replace the file ``version`` of the application in one step, as deploys do."""
    fresh = f"{os.fspath(path)}.new"
    with open(fresh, "w") as file:
        file.write(version)
    os.replace(fresh, path)
