"""Websockets directly over https, by every interface."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

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

    def connect(self, path: str) -> ClientConnection:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        opened: ClientConnection = connect(
            f"wss://{self.address}{path}", ssl=context, open_timeout=10
        )
        return opened


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
    for path in PATHS[tls_server.app]:
        with tls_server.connect(path) as client:
            for text in ("hello", "x" * 100_000):
                client.send(text)
                assert client.recv(timeout=5) == text, path
            began = time.monotonic()
            for n in range(30):
                client.send(str(n))
            for n in range(30):
                assert client.recv(timeout=5) == str(n), path
            assert time.monotonic() - began < 3, path
        assert client.close_code == 1000, path
    assert "Traceback" not in tls_server.server.process.log


def test_the_end_over_tls(tls_server: TlsServer) -> None:
    app = tls_server.app
    path = "/returns" if app == "sockets" else "/flask-sock-returns"
    with tls_server.connect(path) as client:
        assert client.recv(timeout=5) in ("last words", "bye")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)
        assert client.close_code == 1000
