"""Clients of every kind at once, and what failed for them.

Each kind is a function that makes one visit and raises if it was not served. A
visit that failed is kept with its port, so that a test can say which failures a fault
of its making excuses: those whose connection a worker held when it was killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from geuwsgi.testing.client import Client, MalformedResponse, Response, get
from geuwsgi.testing.packet import encode_packet, web_server_vars

#: No fault that is waited for may take longer than this.
PATIENCE_S = 60.0

_HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@dataclass(frozen=True)
class Target:
    """Where the server listens."""

    http: str
    uwsgi: str


class Visit:
    """One visit of a client: opens its connection and remembers from which port."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.port = 0

    def connect(self) -> Client:
        return self._remember(Client(self._target.http, PATIENCE_S))

    def connect_as_front_server(self) -> Client:
        return self._remember(Client(self._target.uwsgi, PATIENCE_S))

    def _remember(self, client: Client) -> Client:
        self.port = client.socket.getsockname()[1]
        return client


@dataclass(frozen=True)
class Failure:
    """A visit that was not served; ``port`` is the client's."""

    kind: str
    port: int
    seconds: float
    why: str


def _expect(
    client: Client, path: str, status: int = 200, body: bytes = b""
) -> Response:
    method = "POST" if body else "GET"
    response = client.request(path, method=method, body=body)
    assert response.status == status, f"{path}: {response.status}"
    assert response.complete, f"{path}: the answer is cut"
    return response


def _come_and_go(visit: Visit) -> None:
    with visit.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.read_response().status == 200


def _keep_alive(visit: Visit) -> None:
    with visit.connect() as client:
        for path in ("/", "/cached?a", "/stream", "/file", "/"):
            if _expect(client, path).header("connection") == "close":
                return  # the worker ends


def _post(visit: Visit) -> None:
    with visit.connect() as client:
        assert _expect(client, "/form", body=b"y" * 100_000).body == b"100000"


def _fail(visit: Visit) -> None:
    with visit.connect() as client:
        _expect(client, "/error", 500)


def _long_poll(visit: Visit) -> None:
    with visit.connect() as client:
        _expect(client, "/poll")


def _through_a_front_server(visit: Visit) -> None:
    with visit.connect_as_front_server() as client:
        client.send(encode_packet(web_server_vars("/stream")))
        response = client.read_response()
        assert response.status == 200
        assert len(response.body) == 5000


def _websocket(visit: Visit) -> None:
    with visit.connect() as client:
        client.send(_HANDSHAKE)
        head = client.read_until(b"\r\n\r\n")
        assert b" 101 " in head, head
        for number in range(10):
            text = b"message %d" % number
            client.send(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)
            answer = client.read_until(text)
            if answer[:1] == b"\x88":
                return  # the worker ends
            assert answer == bytes((0x81, len(text))) + text
        client.send(b"\x88\x82\0\0\0\0\x03\xe8")
        # Our code comes back, or another one if the worker ends at this moment.
        assert client.read_until(b"\x88\x02\x03\xe8")[:1] == b"\x88"


def _leave_early(visit: Visit) -> None:
    """Go in the middle of an answer, by a reset. Nothing is expected."""
    with visit.connect() as client:
        client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        client.socket.recv(100)
        linger = struct.pack("ii", 1, 0)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _talk_nonsense(visit: Visit) -> None:
    with visit.connect() as client:
        client.send(b"GET /\x01 HTTP/1.1\r\n" + os.urandom(50) + b"\r\n\r\n")
        assert client.read_response().status == 400


KINDS: dict[str, Callable[[Visit], None]] = {
    "come and go": _come_and_go,
    "keep-alive": _keep_alive,
    "post": _post,
    "fail": _fail,
    "long poll": _long_poll,
    "front server": _through_a_front_server,
    "websocket": _websocket,
    "leave early": _leave_early,
    "nonsense": _talk_nonsense,
}


class MixedLoad:
    """Makes visits of all kinds until the end of the ``with`` block.

    ``pause`` is how long each of the ``clients`` rests between two visits, so that the
    load leaves the machine room for others.
    """

    def __init__(
        self, target: Target, *, clients: int = 6, pause: float = 0.01
    ) -> None:
        self._target = target
        self._pause = pause
        self._ended = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._under_way = 0
        self._threads = [
            threading.Thread(target=self._run, args=(number,))
            for number in range(clients)
        ]
        self.served: Counter[str] = Counter()
        self.failures: list[Failure] = []

    def __enter__(self) -> MixedLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._open.set()
        for thread in self._threads:
            thread.join()

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Hold all clients back, once their visits have ended."""
        self._open.clear()
        try:
            while self._under_way:
                time.sleep(0.005)
            yield
        finally:
            self._open.set()

    def _run(self, number: int) -> None:
        dice = random.Random(number)
        # Each kind once, so that a short load has them all.
        kinds = list(KINDS)
        first = kinds[:number] + kinds[number:][::-1]
        while not self._ended.is_set():
            with self._lock:
                self._under_way += 1
            # Asked after it is counted, so that ``quiet`` misses nobody.
            if self._open.is_set():
                self._make(first.pop() if first else dice.choice(kinds))
            with self._lock:
                self._under_way -= 1
            self._open.wait()
            self._ended.wait(self._pause)

    def _make(self, kind: str) -> None:
        began = time.monotonic()
        visit = Visit(self._target)
        try:
            KINDS[kind](visit)
        except (OSError, MalformedResponse, AssertionError) as exc:
            seconds = time.monotonic() - began
            failure = Failure(kind, visit.port, seconds, repr(exc))
            with self._lock:
                self.failures.append(failure)
        else:
            with self._lock:
                self.served[kind] += 1


class PlainLoad:
    """Short visits without a pause, each of the ``clients`` one at a time."""

    def __init__(self, address: str, *, clients: int = 3) -> None:
        self._address = address
        self.answered = 0
        self.failed: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> PlainLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                assert get(self._address, timeout=PATIENCE_S).status == 200
                self.answered += 1
            except (OSError, MalformedResponse, AssertionError) as exc:
                self.failed.append(repr(exc))
