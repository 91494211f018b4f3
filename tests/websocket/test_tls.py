"""Websockets directly over https, by every interface."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from geuwsgi.testing.client import free_port
from tests.websocket.conftest import SocketServer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("certificate")
    key, cert = directory / "key.pem", directory / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", "/CN=localhost", "-days", "2"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


class TlsServer:
    def __init__(
        self, directory: Path, certificate: tuple[Path, Path], app: str
    ) -> None:
        self.app = app
        self.address = f"127.0.0.1:{free_port()}"
        cert, key = certificate
        self.server = SocketServer(
            directory, "--https", f"{self.address},{cert},{key}", app=app
        )
        self.server.process.wait_until_ready(self.address)

    def connect(self, path: str) -> connect:
        # A client of one thread: the other of this library reads and writes a TLS
        # connection in two, and then hangs now and then with any server (OpenSSL
        # allows one at a time). Making the context takes it 50 ms: the system's CAs.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return connect(f"wss://{self.address}{path}", ssl=context, open_timeout=10)


async def receive(client: ClientConnection) -> str | bytes:
    return await asyncio.wait_for(client.recv(), 5)


@pytest.fixture(scope="module", params=["sockets", "libraries"])
def tls_server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: tuple[Path, Path],
) -> Iterator[TlsServer]:
    if request.param == "libraries":
        pytest.importorskip("flask_sock")
    started = TlsServer(tmp_path_factory.mktemp("tls"), certificate, request.param)
    yield started
    started.server.process.kill()


PATHS = {
    "sockets": ["/echo", "/select", "/object", "/gevent", "/children"],
    "libraries": ["/flask-sock", "/flask-sockets"],
}


def test_every_interface_over_tls(tls_server: TlsServer) -> None:
    async def talk(path: str) -> None:
        async with tls_server.connect(path) as client:
            for text in ("hello", "x" * 100_000):
                await client.send(text)
                assert await receive(client) == text, path
            began = time.monotonic()
            for n in range(30):
                await client.send(str(n))
            for n in range(30):
                assert await receive(client) == str(n), path
            assert time.monotonic() - began < 3, path
        assert client.close_code == 1000, path

    for path in PATHS[tls_server.app]:
        asyncio.run(talk(path))
    assert "Traceback" not in tls_server.server.process.log


def test_the_end_over_tls(tls_server: TlsServer) -> None:
    app = tls_server.app
    path = "/returns" if app == "sockets" else "/flask-sock-returns"

    async def talk() -> None:
        async with tls_server.connect(path) as client:
            assert await receive(client) in ("last words", "bye")
            with pytest.raises(ConnectionClosed):
                await receive(client)
            assert client.close_code == 1000

    asyncio.run(talk())
