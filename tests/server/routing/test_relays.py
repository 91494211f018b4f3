"""Requests answered by other servers."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import gevent.event
import gevent.socket
import pytest
from gevent.server import StreamServer

from geuwsgi.protocol.uwsgi import decode_header, decode_vars

Routed = Callable[..., Any]


@contextmanager
def backend(
    answer: Callable[[gevent.socket.socket], None],
) -> Iterator[tuple[str, int]]:
    """A server that gives each connection to ``answer`` and then closes it."""

    def serve(client: gevent.socket.socket, address: object) -> None:
        with client:
            answer(client)

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    try:
        assert server.server_port is not None
        yield "127.0.0.1", server.server_port
    finally:
        server.stop()


def read_until(client: gevent.socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        piece = client.recv(65536)
        if not piece:
            break
        received += piece
    return received


def test_http_passes_the_request_on_and_the_answer_back(routed: Routed) -> None:
    seen: list[bytes] = []

    def answer(client: gevent.socket.socket) -> None:
        seen.append(read_until(client, b"body"))
        client.sendall(
            b"HTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 201 Made\r\nX-Backend: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
            b"Content-Length: 5\r\n\r\nhello"
        )

    with backend(answer) as (host, port):
        site = routed(f"route = ^/ http:{host}:{port}")
        got = site.ask("/p%20q?x", "X-Own: v", method="POST", body="body")
    assert got.startswith("HTTP/1.1 201 Made\r\n")
    assert "\r\nX-Backend: 1\r\n" in got
    assert "X-Hop" not in got
    assert got.endswith("\r\n\r\nhello")
    head = seen[0].decode()
    assert head.startswith("POST /p%20q?x HTTP/1.1\r\nHost: x\r\n")
    assert "\r\nX-Own: v\r\n" in head
    assert "\r\nContent-Length: 4\r\n" in head
    assert "\r\nX-Forwarded-For: 127.0.0.1\r\n" in head
    assert "\r\nConnection: close\r\n" in head
    assert site.logged[-1].via == "route"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nabcdef",
        b"HTTP/1.0 200 OK\nContent-Length: 6\n\nabcdef",
    ],
)
def test_every_framing_of_a_backend_is_understood(
    routed: Routed, answer: bytes, cut: Callable[[bytes], list[bytes]]
) -> None:
    def serve(client: gevent.socket.socket) -> None:
        read_until(client, b"\r\n\r\n")
        for piece in cut(answer):
            client.sendall(piece)
            gevent.sleep(0)

    with backend(serve) as (host, port):
        got = routed(f"route = ^/ http:{host}:{port}").ask("/")
    assert got.startswith("HTTP/1.1 200 OK\r\n")
    body = got.partition("\r\n\r\n")[2]
    assert body == "abcdef" or body.replace("\r\n", "").endswith("0")
    assert "def" in body


def test_uwsgi_sends_a_packet(routed: Routed) -> None:
    seen: dict[str, object] = {}

    def serve(client: gevent.socket.socket) -> None:
        header = client.recv(4)
        modifier1, size, modifier2 = decode_header(header)
        block = b""
        while len(block) < size:
            block += client.recv(size - len(block))
        decode_vars(block, seen)
        seen["modifiers"] = (modifier1, modifier2)
        seen["body"] = client.recv(100)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n\r\nfrom uwsgi")

    with backend(serve) as (host, port):
        site = routed(f"route = ^/u uwsgi:{host}:{port},7,8,/app")
        got = site.ask("/u?q=1", method="POST", body="posted")
    assert "Content-Type: text/x" in got
    assert "from uwsgi" in got
    assert seen["modifiers"] == (7, 8)
    assert seen["UWSGI_APPID"] == "/app"
    assert seen["QUERY_STRING"] == "q=1"
    assert seen["body"] == b"posted"
    assert not any(name.startswith("wsgi.") for name in seen)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad line\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000,
    ],
)
def test_an_answer_that_is_none_becomes_502(routed: Routed, answer: bytes) -> None:
    def serve(client: gevent.socket.socket) -> None:
        read_until(client, b"\r\n\r\n")
        client.sendall(answer)

    with backend(serve) as (host, port):
        site = routed(f"route = ^/ http:{host}:{port}")
        assert site.ask("/").startswith("HTTP/1.1 502 Bad Gateway\r\n")
    assert site.log


def test_a_backend_that_is_not_there_becomes_502(routed: Routed) -> None:
    with backend(lambda client: None) as (host, port):
        pass
    site = routed(f"route = ^/ http:{host}:{port}", "route-run = uwsgi:/no/such.sock")
    assert site.ask("/").startswith("HTTP/1.1 502 Bad Gateway\r\n")
    assert "cannot connect to 127.0.0.1" in site.log[0]


def test_an_answer_that_ends_early_is_cut(routed: Routed) -> None:
    def serve(client: gevent.socket.socket) -> None:
        read_until(client, b"\r\n\r\n")
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")

    with backend(serve) as (host, port):
        site = routed(f"route = ^/ http:{host}:{port}")
        with gevent.socket.create_connection(site.address, timeout=5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            try:
                while piece := client.recv(65536):
                    received += piece
            except ConnectionResetError:
                pass
    assert received.endswith((b"\r\n\r\nabc", b""))
    assert not received.endswith(b"0\r\n\r\n")


def test_switched_protocols_join_both_connections(routed: Routed) -> None:
    def serve(client: gevent.socket.socket) -> None:
        head = read_until(client, b"\r\n\r\n")
        assert b"\r\nUpgrade: echo\r\n" in head
        assert b"\r\nConnection: Upgrade\r\n" in head
        client.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"
            b"Connection: Upgrade\r\n\r\nfirst"
        )
        while piece := client.recv(100):
            client.sendall(piece.upper())
        client.sendall(b"bye")

    with backend(serve) as (host, port):
        site = routed(f"route = ^/ http:{host}:{port}")
        with gevent.socket.create_connection(site.address, timeout=5) as client:
            client.sendall(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\n"
                b"Connection: Upgrade\r\n\r\nearly"
            )
            received = b""
            while b"EARLY" not in received:
                received += client.recv(100)
            assert received.startswith(b"HTTP/1.1 101 ")
            assert b"first" in received
            client.sendall(b"more")
            assert client.recv(100) == b"MORE"
            client.shutdown(gevent.socket.SHUT_WR)
            assert client.recv(100) == b"bye"
            assert client.recv(100) == b""
    assert site.server.site.cores.busy == 0


def test_relaying_holds_no_core(routed: Routed) -> None:
    asked = gevent.event.Event()
    may_answer = gevent.event.Event()

    def serve(client: gevent.socket.socket) -> None:
        read_until(client, b"\r\n\r\n")
        asked.set()
        may_answer.wait(5)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with backend(serve) as (host, port):
        site = routed(f"route = ^/ http:{host}:{port}")
        asking = gevent.spawn(site.ask, "/")
        assert asked.wait(5)
        assert site.server.site.cores.busy == 0
        may_answer.set()
        assert asking.get(timeout=5).startswith("HTTP/1.1 200 OK")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="not on this system")
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\nbeginning"])
@pytest.mark.parametrize("resets", [False, True])
def test_clients_that_go_away_leave_nothing(
    routed: Routed, answer: bytes, resets: bool
) -> None:
    asked = 0
    left = 0

    def serve(client: gevent.socket.socket) -> None:
        nonlocal asked, left
        read_until(client, b"\r\n\r\n")
        if answer:
            client.sendall(answer)
        asked += 1
        # As an event stream that has nothing to tell.
        assert client.recv(100) == b""
        left += 1

    with backend(serve) as (host, port):
        site = routed(f"route = ^/ http:{host}:{port}")
        site.server.site.cores.free[:] = site.server.site.cores.free[:2]
        before = descriptors()
        clients = []
        for _ in range(20):
            client = gevent.socket.create_connection(site.address, timeout=5)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            clients.append(client)
        with gevent.Timeout(10):
            while asked < 20:
                gevent.sleep(0.002)
            for client in clients:
                if answer:
                    assert client.recv(15) == b"HTTP/1.1 200 OK"
                if resets:
                    linger = struct.pack("ii", 1, 0)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.close()
            while left < 20 or descriptors() > before:
                gevent.sleep(0.002)
    assert site.log == []


def test_a_next_request_is_no_reason_to_leave(routed: Routed) -> None:
    asked = gevent.event.Event()
    may_answer = gevent.event.Event()

    def serve(client: gevent.socket.socket) -> None:
        read_until(client, b"\r\n\r\n")
        asked.set()
        may_answer.wait(5)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with backend(serve) as (host, port):
        site = routed(f"route = ^/ http:{host}:{port}")
        with gevent.socket.create_connection(site.address, timeout=5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert asked.wait(5)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            gevent.sleep(0.005)
            may_answer.set()
            received = b""
            while piece := client.recv(65536):
                received += piece
    assert received.count(b"HTTP/1.1 200 OK") == 2
