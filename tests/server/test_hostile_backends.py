"""Backends of the http router that break every rule of HTTP."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent.server import StreamServer

from geuwsgi.offload.upstream import Connector
from geuwsgi.routers.routes import Routes, StaticNodes
from geuwsgi.server.fronting import Fronting

Routed = Callable[..., Any]
Serve = Callable[[gevent.socket.socket], None]
Start = Callable[[Serve], str]
Fronted = Callable[..., Any]

_GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"


def read_head(client: gevent.socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = client.recv(65536)
        if not piece:
            break
        received += piece
    return received


def says(*pieces: bytes, reset: bool = False) -> Serve:
    """Answers every request with ``pieces`` and closes, with a RST if so wished."""

    def serve(client: gevent.socket.socket) -> None:
        read_head(client)
        for piece in pieces:
            client.sendall(piece)
            gevent.sleep(0.001)
        if reset:
            client.setsockopt(
                gevent.socket.SOL_SOCKET,
                gevent.socket.SO_LINGER,
                struct.pack("ii", 1, 0),
            )

    return serve


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def make(serve: Serve) -> str:
            def handle(client: gevent.socket.socket, address: object) -> None:
                # The router does not always listen to the end.
                with client, contextlib.suppress(OSError):
                    serve(client)

            server = StreamServer(("127.0.0.1", 0), handle)
            server.start()
            stack.callback(server.stop)
            return f"127.0.0.1:{server.server_port}"

        yield make


@pytest.fixture
def fronted(routed: Routed) -> Fronted:
    def make(*to: str, timeout: float = 2) -> Any:
        site = routed()
        routes = Routes(
            [StaticNodes(to, clock=monotonic)],
            StaticNodes((), clock=monotonic),
            clock=monotonic,
        )
        connector = Connector(site.server.hub, connect_timeout=2, timeout=timeout)
        stage = Fronting(
            connector, routes, report=site.log.append, speaks_http=True, quiet=True
        )
        site.server.site.stages = (stage,)
        return site

    return make


def exchange(site: Any, octets: bytes) -> bytes:
    """Send ``octets``; all that comes until the server closes."""
    received = b""
    with gevent.socket.create_connection(site.address, timeout=5) as client:
        client.sendall(octets)
        try:
            while piece := client.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    return received


_GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
_POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"

NO_ANSWERS = {
    "nothing": b"",
    "rubbish": b"\x00\xff" * 100 + b"\r\n\r\n",
    "a cut head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a head without a body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "a head without chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a malformed first chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nab",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab",
    "a length and a coding": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "a coding nobody knows": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "two codings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "a carriage return in a field": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n",
    "a NUL in a field": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 1\r\n\r\na",
    "a folded field": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\na",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na",
    "another version": b"HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 1\r\n\r\na",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\na",
    "another protocol, unasked": b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
    "a line without end": b"HTTP/1.1 200 " + b"x" * 200_000,
    "interim answers only": b"HTTP/1.1 102 Processing\r\n\r\n" * 3_000,
}


@pytest.mark.parametrize("what", list(NO_ANSWERS))
def test_what_is_no_answer_is_another_backends_turn(
    fronted: Fronted, start: Start, what: str
) -> None:
    bad, good = start(says(NO_ANSWERS[what])), start(says(_GOOD))
    site = fronted(bad, good)
    for _ in range(2):
        assert exchange(site, _CLOSE).endswith(b"\r\n\r\ngood")
    answers = [exchange(site, _POST) for _ in range(2)]
    # It may have done what it was asked: nobody is asked again.
    statuses = sorted(answer.split(b" ")[1] for answer in answers)
    assert statuses == [b"200", b"502"]
    assert not any("Traceback" in line for line in site.log)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"3\r\nabc\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc",
        b"-1\r\nabc",
        b"0\r\nX: a\nb\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_cut(
    fronted: Fronted, start: Start, rest: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    bad = start(says(head + b"5\r\nfirst\r\n", rest))
    site = fronted(bad, start(says(_GOOD)))
    received = exchange(site, _GET + _CLOSE)
    assert b"0\r\n\r\n" not in received, "it looks whole"
    if b"good" not in received:  # the first chunk was passed on: nobody else is asked
        assert received.count(b"HTTP/1.1 ") <= 1
    assert not any("Traceback" in line for line in site.log)


def test_a_reset_in_the_middle_is_seen_by_the_client(
    fronted: Fronted, start: Start
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    site = fronted(start(says(head + b"first", reset=True)))
    received = exchange(site, _GET + _CLOSE)
    assert received.count(b"HTTP/1.1 ") <= 1
    assert len(received.partition(b"\r\n\r\n")[2]) < 100


@pytest.mark.parametrize(
    "answer",
    [
        _GOOD + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\nevil",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n",
    ],
)
def test_what_stands_behind_an_answer_reaches_nobody(
    fronted: Fronted, start: Start, answer: bytes
) -> None:
    site = fronted(start(says(answer)))
    received = exchange(site, _GET + _CLOSE)
    assert received.count(b"HTTP/1.1 20") + received.count(b"HTTP/1.1 304 ") == 2
    assert b"evil" not in received


def test_a_body_behind_head_reaches_nobody(fronted: Fronted, start: Start) -> None:
    site = fronted(start(says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")))
    received = exchange(site, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + _CLOSE)
    assert received.count(b"evil") == 1
    assert received.endswith(b"evil")


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        b"Upgrade: websocket\r\n",
        b"Upgrade: websocket\r\nConnection: x-upgrade\r\n",
    ],
)
def test_nobody_is_joined_with_a_backend_unasked(
    fronted: Fronted, start: Start, fields: bytes
) -> None:
    heard: list[bytes] = []

    def serve(client: gevent.socket.socket) -> None:
        heard.append(read_head(client))
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
        heard.append(client.recv(65536))

    site = fronted(start(serve))
    request = b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"
    received = exchange(site, request + b"PRI * HTTP/2.0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 502 ")
    assert b"pgrade:" not in heard[0]
    assert b"ettings" not in heard[0]
    assert heard[1:] in ([b""], [])


def test_bodies_without_a_length_are_framed_for_the_backend(
    fronted: Fronted, start: Start
) -> None:
    heard: list[bytes] = []

    def serve(client: gevent.socket.socket) -> None:
        received = read_head(client)
        while not received.endswith(b"0\r\n\r\n"):
            received += client.recv(65536)
        heard.append(received)
        client.sendall(_GOOD)

    site = fronted(start(serve))
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden)
    received = exchange(
        site,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close, X-Own\r\nX-Own: 1\r\nX-Other: 2\r\n\r\n" + chunk,
    )
    assert received.endswith(b"good")
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert b"X-Own" not in head
    assert b"\r\nX-Other: 2" in head
    assert body == chunk


def test_a_flood_from_a_backend_leaves_others_their_turn(
    fronted: Fronted, start: Start
) -> None:
    served = gevent.event.Event()
    block = bytes(1 << 20)

    def flood(client: gevent.socket.socket) -> None:
        read_head(client)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not served.is_set():
            client.sendall(block)

    site = fronted(start(flood))
    with gevent.socket.create_connection(site.address, timeout=5) as client:
        client.sendall(_CLOSE)

        def swallow() -> None:
            while client.recv(1 << 20):
                pass

        reader = gevent.spawn(swallow)
        while not (site.server.site.connections):
            gevent.sleep(0.001)
        began = monotonic()
        for _ in range(20):
            gevent.sleep(0)
        assert monotonic() - began < 2
        served.set()
        reader.join(5)
