"""A server that shares its port with others leaves it without losing a connection."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from geuwsgi.testing.process import ServerProcess

APPLICATION = """
import os

import gevent

def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        open("waiting", "w").close()
        while not os.path.exists("go"):
            gevent.sleep(0.01)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def _connect(port: int, path: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return client


def _read_all(client: socket.socket) -> bytes:
    received = b""
    with client:
        while piece := client.recv(65536):
            received += piece
    return received


def test_connections_that_nobody_has_accepted_are_answered(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (
        *(
            "--http-socket",
            f"127.0.0.1:{port}",
            "--reuse-port",
            "--wsgi-file",
            "app.py",
        ),
        *("--gevent", "1", "--master", "--worker-reload-mercy", "30"),
        *("--hook-master-start", "unix_signal:10 gracefully_kill_them_all"),
    )
    with ServerProcess(options, directory=tmp_path) as server:
        server.wait_until_ready(f"127.0.0.1:{port}")
        first = _connect(port, "/wait")
        server.wait_for((tmp_path / "waiting").exists, "has the first request")
        # The only core is taken: these wait in the kernel.
        waiting = [_connect(port, "/") for _ in range(20)]
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log("graceful shutdown triggered")
        (tmp_path / "go").touch()
        for client in (first, *waiting):
            assert _read_all(client).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.wait() == 0
