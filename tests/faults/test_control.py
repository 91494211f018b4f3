"""The sockets of operators and tools, met by those who mean no good."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from geuwsgi.testing.client import connect, free_port, get
from geuwsgi.testing.process import ServerProcess
from tests.faults.conftest import APPS, start
from tests.fuzz.packets import cache_message

LINES = """\
processes = 1
gevent = 20
disable-logging = true
stats = stats.sock
master-fifo = site.fifo
cache2 = name=default,items=50,store=cache.store
spooler = spool
pidfile = site.pid
req-logger = file:requests.log
set-ph = password=hunter2secret
env = API_TOKEN=hunter3secret
"""


@dataclass(frozen=True)
class Site:
    server: ServerProcess
    http: str
    uwsgi: str
    directory: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Started by an administrator whose umask lets others do everything."""
    directory = Path(shutil.copytree(APPS, tmp_path_factory.mktemp("control") / "site"))
    (directory / "spool").mkdir()
    uwsgi = f"127.0.0.1:{free_port()}"
    before = os.umask(0)
    try:
        server, http = start(
            directory, f"{LINES}socket = {uwsgi}\n", module="mixed:application"
        )
    finally:
        os.umask(before)
    with server:
        yield Site(server, http, uwsgi, directory)


def read_stats(path: str) -> object:
    with connect(path) as peer:
        received = b""
        while piece := peer.recv(65536):
            received += piece
    return json.loads(received)


def test_nobody_on_a_control_socket_holds_up_requests(site: Site) -> None:
    server, http = site.server, site.http
    stats = str(site.directory / "stats.sock")
    pid = get(http, "/pid").text
    with contextlib.ExitStack() as peers:
        # More than it takes: some that say nothing for ever, some that never read.
        for number in range(100):
            peer = peers.enter_context(connect(stats))
            with contextlib.suppress(OSError):
                peer.sendall((b"GET /", b"GET / HTTP/1.1\r\n\r\n" * 9)[number % 2])
        random = Random(1)
        for _ in range(300):
            form, block = cache_message(random)
            size = max(0, len(block) + random.choice((0, 0, 0, 1, -1)))
            with connect(site.uwsgi) as peer:
                head = bytes((111, size & 0xFF, size >> 8, form))
                peer.sendall(head + block + random.choice((b"", b"x" * 5)))
                peer.shutdown(socket.SHUT_WR)
        fifo = os.open(site.directory / "site.fifo", os.O_WRONLY | os.O_NONBLOCK)
        with os.fdopen(fifo, "wb", buffering=0) as command:
            command.write(b"\0\xff\n zyxjkZYX\x1b[2J" * 2000)
        for _ in range(20):
            assert get(http).status == 200
    assert get(http, "/pid").text == pid
    assert read_stats(stats)
    assert "Traceback" not in server.log


def test_what_the_server_makes_is_private(site: Site) -> None:
    server, directory = site.server, site.directory
    for path in ("/cached?a", "/", "/error"):
        get(site.http, path)
    modes = {
        name: stat.S_IMODE((directory / name).stat().st_mode)
        for name in (
            "site.fifo",
            "cache.store",
            "site.pid",
            "requests.log",
            "stats.sock",
        )
    }
    assert modes["site.fifo"] == 0o600
    assert modes["cache.store"] == 0o600
    assert not modes["stats.sock"] & 0o007
    assert not modes["site.pid"] & 0o022
    assert not modes["requests.log"] & 0o027
    # Values of the configuration and of the environment are told to nobody.
    told = json.dumps(read_stats(str(directory / "stats.sock")))
    for secret in ("hunter2secret", "hunter3secret"):
        assert secret not in server.log
        assert secret not in (directory / "requests.log").read_text()
        assert secret not in told
        for pid in server.processes():
            assert secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
