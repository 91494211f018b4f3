"""Sockets over connections that are more than sockets."""

from __future__ import annotations

import gevent.socket

from geuwsgi.errors import Disconnected
from geuwsgi.offload.bridge import bridged_socket


class PairedStream:
    """The stream's side of a connection in this process."""

    def __init__(self, sock: gevent.socket.socket) -> None:
        self._sock = sock

    def recv(self, size: int, /) -> bytes:
        try:
            return self._sock.recv(size)
        except OSError as exc:
            raise Disconnected(str(exc)) from exc

    def send_all(self, octets: bytes | memoryview, /) -> None:
        try:
            self._sock.sendall(octets)
        except OSError as exc:
            raise Disconnected(str(exc)) from exc

    def shutdown_write(self) -> None:
        self._sock.shutdown(gevent.socket.SHUT_WR)

    def close(self) -> None:
        self._sock.close()


def test_bytes_go_both_ways_and_ends_are_told() -> None:
    client, server = gevent.socket.socketpair()
    client.settimeout(5)
    with client, bridged_socket(PairedStream(server), b"early") as bridged:
        bridged.settimeout(5)
        assert bridged.recv(100) == b"early"
        client.sendall(b"to the application")
        assert bridged.recv(100) == b"to the application"
        bridged.sendall(b"x" * 300_000)
        received = b""
        while len(received) < 300_000:
            received += client.recv(65536)
        client.shutdown(gevent.socket.SHUT_WR)
        assert bridged.recv(100) == b""
        bridged.sendall(b"last")
        bridged.shutdown(gevent.socket.SHUT_WR)
        assert client.recv(100) == b"last"
        assert client.recv(100) == b""


def test_a_client_that_is_gone_ends_the_socket() -> None:
    client, server = gevent.socket.socketpair()
    with bridged_socket(PairedStream(server)) as bridged:
        bridged.settimeout(5)
        client.close()
        assert bridged.recv(100) == b""
