"""Rawrouter and sslrouter among clients and backends that mean no good."""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from geuwsgi.testing.client import connect
from geuwsgi.testing.fixtures import StartServer
from tests.routers.conftest import announce
from tests.routers.test_relays import Ports, make_certificate

_RESET = struct.pack("ii", 1, 0)


class _Echo(socketserver.BaseRequestHandler):
    """Returns what it gets, in upper case."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while block := self.request.recv(65536):
                self.request.sendall(block.upper())


class _Slam(socketserver.BaseRequestHandler):
    """Closes at once, every second time with a reset."""

    def handle(self) -> None:
        if self.client_address[1] % 2:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.request.close()


class _Crowd(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    """Serve each connection in a thread of its own; yields the address."""
    with _Crowd(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def client_hello(name: str) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def attack(address: str, opening: bytes, end: str) -> socket.socket | None:
    """Send ``opening`` and end as told; returns the client that stays."""
    client = connect(address, timeout=10)
    with contextlib.suppress(OSError):
        client.sendall(opening)
        if end == "half-close":
            client.shutdown(socket.SHUT_WR)
    if end == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if end in ("reset", "close"):
        client.close()
        return None
    return client


def test_hostile_clients_and_backends_harm_nobody_else(
    geuwsgi_server: StartServer, ports: Ports, tmp_path: Path
) -> None:
    raw, tls = ports(), ports()
    certificate, key = make_certificate(tmp_path, "mail.test")
    hello = client_hello("mail.test")
    openings = [
        *(b"", b"\x16", hello[:5], hello[:100], hello, hello + os.urandom(2000)),
        *(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", os.urandom(2000)),
        *(b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x01\xff\xff" + bytes(70_000)),
        *(client_hello("rude.test"), client_hello("nobody.test")),
    ]
    with (
        serving(_Echo) as echo,
        serving(_Slam) as slam,
        contextlib.ExitStack() as stack,
    ):
        router = geuwsgi_server(
            *("--rawrouter", raw, "--rawrouter-to", echo, "--sslrouter-sni"),
            *("--sslrouter", f"{tls},{certificate},{key}"),
            *("--sslrouter-subscription-server", tls),
            *("--subscription-tolerance", "600"),
        )
        router.wait_until_ready(raw, tls)
        router.wait_for_log("spawned uWSGI router 2")
        announce(tls, "mail.test", echo)
        announce(tls, "rude.test", slam)
        router.wait_for_log("mail.test => new node")
        router.wait_for_log("rude.test => new node")
        for address in (raw, tls):
            for opening in openings:
                for end in ("close", "reset", "half-close", "stay"):
                    stays = attack(address, opening, end)
                    if stays is not None:
                        stack.enter_context(stays)
        for _ in range(3):
            with connect(raw, timeout=10) as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"HELLO"
            with (
                connect(tls, timeout=10) as plain,
                client_context().wrap_socket(
                    plain, server_hostname="mail.test"
                ) as client,
            ):
                client.sendall(b"hello")
                assert client.recv(100) == b"HELLO"
            with (
                contextlib.suppress(ssl.SSLError, ConnectionResetError),
                connect(tls, timeout=10) as plain,
                client_context().wrap_socket(
                    plain, server_hostname="rude.test"
                ) as client,
            ):
                assert client.recv(100) == b""
    assert router.is_running()
    assert "Traceback" not in router.log
    assert router.log.count("spawned uWSGI router 1") == 1
