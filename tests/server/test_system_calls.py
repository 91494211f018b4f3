"""What a request asks of the kernel and of the loop: as little as can be."""

from __future__ import annotations

import _socket
import os
import socket
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import gevent.socket
import pytest

from geuwsgi.server.edges import PLAIN
from geuwsgi.server.site import Limits
from geuwsgi.shared import scoreboard
from geuwsgi.worker.endpoint import Endpoint
from geuwsgi.worker.serve import Server


class CountedSocket(_socket.socket):
    """A socket that counts what is asked of the kernel."""

    received = 0
    sent = 0
    shut_down = 0

    def recv(self, *args: Any) -> bytes:
        self.received += 1
        return super().recv(*args)

    def send(self, *args: Any) -> int:
        self.sent += 1
        return super().send(*args)

    def shutdown(self, how: int) -> None:
        self.shut_down += 1
        super().shutdown(how)


class Site:
    """A server with one connection: ``sock`` is its end, ``peer`` the client's."""

    def __init__(self) -> None:
        #: Watchers of the loop while each request was answered.
        self.watchers: list[int] = []
        app = SimpleNamespace(number=0, call=self._application, requests=0)
        self.server = Server(
            listeners=[],
            find_application=lambda environ: app,
            counters=memoryview(bytearray(8 * scoreboard.FIELDS)).cast("q"),
            cores=10,
            limits=lambda listener: Limits(),
        )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        listener: Any = SimpleNamespace(socket=ours, protocol="http", server_port="80")
        endpoint = Endpoint(0, listener, Limits(), self.server.site, PLAIN)
        self.sock = CountedSocket(socket.AF_UNIX, socket.SOCK_STREAM, 0, ours.detach())
        self.sock.setblocking(False)
        self.peer = gevent.socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM, 0, theirs.detach()
        )
        # In the hub, as after accept().
        self.server.hub.loop.run_callback(
            self.server._spawn, endpoint.accept(self.sock, "")
        )

    def _application(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        self.watchers.append(self.server.hub.loop.activecnt)
        if environ["PATH_INFO"] == "/pieces":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return iter([b"x" * 10_000, b"x" * 10_000])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * 20_000]

    def ask(self, request: bytes) -> None:
        self.peer.sendall(request)
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < 20_000:
            received += self.peer.recv(65536)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.peer.close()
    while site.server.site.connections:
        gevent.sleep(0.001)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsome=more",
    ],
    ids=["GET", "POST"],
)
def test_a_request_is_one_recv_and_one_send(site: Site, request_: bytes) -> None:
    # The first bytes may come later than the connection.
    site.ask(request_)
    received, sent = site.sock.received, site.sock.sent
    for _ in range(20):
        site.ask(request_)
    assert site.sock.received - received == 20
    assert site.sock.sent - sent == 20


def test_a_request_starts_no_timer_and_no_other_watcher(site: Site) -> None:
    for _ in range(5):
        site.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    # From the second on the connection's own watcher is there, and nothing else.
    assert len(set(site.watchers[1:])) == 1


def test_closing_alone_ends_a_connection_whose_answer_tells_its_end(
    site: Site,
) -> None:
    site.ask(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert site.peer.recv(1) == b""
    assert site.sock.shut_down == 0


def test_an_answer_without_a_length_ends_though_a_child_has_the_socket(
    site: Site,
) -> None:
    copy = os.dup(site.sock.fileno())
    try:
        site.ask(b"GET /pieces HTTP/1.0\r\n\r\n")
        with gevent.Timeout(5):
            assert site.peer.recv(1) == b""
    finally:
        os.close(copy)
