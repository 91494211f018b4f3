"""Backends and announcements for real routers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.protocol.subscription import Announcement, encode_announcement
from geuwsgi.protocol.uwsgi import decode_header, decode_vars
from geuwsgi.testing.client import free_port
from geuwsgi.testing.fixtures import geuwsgi_server

__all__ = ["geuwsgi_server"]

APPLICATION = """
import gevent

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/socket":
        import uwsgi
        uwsgi.websocket_handshake()
        while True:
            uwsgi.websocket_send(uwsgi.websocket_recv().upper())
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        def pieces():
            for number in range(3):
                yield b"piece %d\\n" % number
                gevent.sleep(0.01)
        return pieces()
    names = ("HTTP_HOST", "REMOTE_ADDR", "UWSGI_ROUTER", "HTTP_X_FORWARDED_FOR")
    told = " ".join(f"{name}={environ.get(name)}" for name in names)
    return [f"{environ['SERVER_PROTOCOL']} {path} {told} ".encode(), body]
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """The file of an application that tells what it was asked."""
    path = tmp_path / "site.py"
    path.write_text(APPLICATION)
    return path


def receive(client: socket.socket, size: int) -> bytes:
    """Exactly so many bytes, fewer at the end."""
    received = b""
    while len(received) < size:
        block = client.recv(size - len(received))
        if not block:
            break
        received += block
    return received


class Backend:
    """A server in a thread that answers uwsgi packets with its name and the path."""

    def __init__(self, name: str, address: str = "") -> None:
        self.name = name
        self.requests = 0
        self._closing = False
        if address:
            self._listening = socket.socket(socket.AF_UNIX)
            self._listening.bind(address)
            self.address = address
        else:
            self._listening = socket.socket()
            self._listening.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._listening.listen(64)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._closing:
                client.close()
                return
            with client:
                try:
                    client.settimeout(10)
                    self._serve(client)
                except (OSError, IndexError):
                    continue

    def _serve(self, client: socket.socket) -> None:
        modifier1, size, _ = decode_header(receive(client, 4))
        variables: dict[str, object] = {}
        decode_vars(receive(client, size), variables)
        length = int(str(variables.get("CONTENT_LENGTH") or 0))
        body = receive(client, length)
        self.requests += 1
        path = variables.get("PATH_INFO", "")
        client.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
            + f"{self.name} {modifier1} {path} ".encode()
            + body
        )

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listening.close()


@pytest.fixture
def backend() -> Iterator[Callable[..., Backend]]:
    """Make backends; they end with the test."""
    with ExitStack() as stack:

        def make(name: str, address: str = "") -> Backend:
            made = Backend(name, address)
            stack.callback(made.close)
            return made

        yield make


def announce(server: str, key: str, address: str, **more: Any) -> None:
    """Send one announcement to a subscription server of this machine."""
    host, _, port = server.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        packet = encode_announcement(Announcement(key, address, **more))
        sender.sendto(packet, (host, int(port)))


@pytest.fixture
def ports() -> Callable[[], str]:
    """Free addresses of this machine."""
    return lambda: f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="session")
def reference_uwsgi() -> str:
    """The command of a real uWSGI, to talk with."""
    path = os.environ.get("GEUWSGI_REFERENCE_UWSGI")
    if not path:
        if os.environ.get("GEUWSGI_TEST_ALL"):
            pytest.fail("GEUWSGI_REFERENCE_UWSGI is missing")
        pytest.skip("GEUWSGI_REFERENCE_UWSGI, the path of a real uwsgi, is missing")
    return path
