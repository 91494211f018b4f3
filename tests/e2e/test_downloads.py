"""Two hundred visitors who read slowly, and what they may cost: nothing."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import ServerProcess

SIZE = 100_000_000
VISITORS = 200

APP = f"""
import gc, json, os, resource
from greenlet import greenlet

SIZE = {SIZE}


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wrapped":
        start_response("200 OK", [("Content-Length", str(SIZE))])
        return environ["wsgi.file_wrapper"](open("files/big.bin", "rb"), 65536)
    if path == "/x-sendfile":
        start_response("200 OK", [("X-Sendfile", os.path.abspath("files/big.bin"))])
        return []
    if path == "/x-accel":
        start_response("200 OK", [("X-Accel-Redirect", "/internal/big.bin")])
        return []
    if path == "/counts":
        gc.collect()
        status = open("/proc/self/status").read()
        used = resource.getrusage(resource.RUSAGE_SELF)
        counts = {{
            "descriptors": len(os.listdir("/proc/self/fd")),
            "greenlets": sum(isinstance(o, greenlet) for o in gc.get_objects()),
            "rss_kib": int(status.partition("VmRSS:")[2].split()[0]),
            "cpu_s": used.ru_utime + used.ru_stime,
        }}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(counts).encode()]
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""

#: Who chooses the file: the static stage, or the application in three ways.
WAYS = ("/files/big.bin", "/wrapped", "/x-sendfile", "/x-accel")

Serve = Callable[[str], tuple[ServerProcess, str]]


@pytest.fixture
def serve(geuwsgi_server: StartServer, tmp_path: Path) -> Serve:
    def serve(more: str) -> tuple[ServerProcess, str]:
        address = f"127.0.0.1:{free_port()}"
        (tmp_path / "files").mkdir()
        with (tmp_path / "files" / "big.bin").open("wb") as file:
            file.truncate(SIZE)
        (tmp_path / "app.py").write_text(APP)
        (tmp_path / "site.ini").write_text(
            f"[uwsgi]\nhttp = {address}\nmaster = true\nwsgi-file = app.py\n"
            f"gevent = 2\nlisten = 512\ndisable-logging = true\n"
            f"static-map = /files={tmp_path}/files\n"
            f"x-sendfile = {tmp_path}/files\n"
            f"x-accel-redirect = /internal/={tmp_path}/files/\n{more}"
        )
        server = geuwsgi_server("--ini", "site.ini", directory=tmp_path)
        server.wait_for_log("spawned uWSGI worker 1")
        return server, address

    return serve


def counts_of(address: str) -> dict[str, float]:
    counts: dict[str, float] = json.loads(get(address, "/counts").text)
    return counts


def slow_visitor(address: str, path: str) -> socket.socket:
    """A connection that has asked for ``path`` and read the beginning."""
    host, _, port = address.rpartition(":")
    visitor = socket.socket()
    # What the kernel keeps for them is theirs; a little must do.
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    visitor.settimeout(20)
    visitor.connect((host, int(port)))
    visitor.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert visitor.recv(15) == b"HTTP/1.1 200 OK"
    return visitor


@pytest.fixture(params=["", "offload-threads = 2\ndisable-sendfile = true\n"])
def visited(
    request: pytest.FixtureRequest, serve: Serve
) -> Iterator[tuple[ServerProcess, str, dict[str, float], list[socket.socket]]]:
    server, address = serve(request.param)
    get(address)
    before = counts_of(address)
    visitors = [slow_visitor(address, WAYS[i % len(WAYS)]) for i in range(VISITORS)]
    yield server, address, before, visitors
    for visitor in visitors:
        visitor.close()


def test_slow_readers_cost_no_core_no_memory_and_leave_nothing(
    visited: tuple[ServerProcess, str, dict[str, float], list[socket.socket]],
) -> None:
    server, address, before, visitors = visited
    # There are two cores: a hundredth of what would be held.
    with Client(address) as client:
        for _ in range(200):
            assert client.request("/").body == b"hello"
    during = counts_of(address)
    assert during["rss_kib"] - before["rss_kib"] < 40_000
    for visitor in visitors:
        assert visitor.recv(100_000)
    # Half of them go in the middle, half of those with a reset.
    for visitor in visitors[::4]:
        visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for visitor in visitors:
        visitor.close()

    def has_nothing_left() -> bool:
        after = counts_of(address)
        return (
            after["descriptors"] <= before["descriptors"]
            and after["greenlets"] <= before["greenlets"] + 40
        )

    server.wait_for(has_nothing_left, "has no descriptors left")
    assert "Traceback" not in server.log
