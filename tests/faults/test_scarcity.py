"""Limits that are reached, disks that are full, resolvers that do not answer."""

from __future__ import annotations

import select
import signal
import socket
import time
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import GEUWSGI, ServerProcess
from tests.faults.conftest import may_mount, start

needs_mounts = pytest.mark.skipif(not may_mount(), reason="only root mounts")

LINES = "processes = 1\ngevent = 20\ndisable-logging = true\n"


def start_with_mounts(
    geuwsgi_server: StartServer, directory: Path, lines: str, *mounts: str
) -> tuple[ServerProcess, str]:
    """Start a server for whom ``mounts``, commands of the shell, were done."""
    address = f"127.0.0.1:{free_port()}"
    (directory / "site.ini").write_text(
        f"[uwsgi]\nhttp-socket = {address}\nmaster = true\n"
        f"module = faulty:application\n{LINES}{lines}"
    )
    script = " && ".join([*mounts, 'exec "$@"'])
    server = geuwsgi_server(
        "--ini",
        "site.ini",
        directory=directory,
        command=("unshare", "--mount", "/bin/sh", "-c", script, "sh", *GEUWSGI),
    )
    server.wait_for_log("spawned uWSGI worker 1", timeout=40)
    return server, address


def test_memory_that_is_used_up_ends_the_request_only(apps: Path) -> None:
    server, address = start(
        apps, LINES + "limit-as = 800\n", module="faulty:application"
    )
    with server:
        pid = get(address, "/pid").text
        for _ in range(2):
            assert get(address, "/memory").status == 500
            assert get(address, "/pid").text == pid
        server.wait_for_log("MemoryError", count=2)
        assert server.stop(signal.SIGTERM) == 0
        server.assert_nothing_left()


@needs_mounts
def test_a_full_disk_for_everything_costs_no_request(
    geuwsgi_server: StartServer, apps: Path
) -> None:
    (apps / "full").mkdir()
    server, address = start_with_mounts(
        geuwsgi_server,
        apps,
        "spooler = full/spool\npidfile = full/site.pid\nsafe-pidfile = full/safe.pid\n"
        "req-logger = file:full/requests.log\nlog-maxsize = 1000\n"
        "cache2 = name=default,items=20,blocksize=1000,store=full/cache\n"
        "queue = 10\nqueue-store = full/queue\n",
        "mount -t tmpfs -o size=400k tmpfs full",
        "mkdir full/spool",
    )
    pid = get(address, "/pid").text
    for path in ("/spool", "/cache", "/") * 10:
        assert get(address, path).status in (200, 500)
    server.wait_for_log("No space left on device")
    assert get(address, "/pid").text == pid
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("spawned uWSGI worker 1", count=2)
    assert get(address).status == 200
    assert server.stop(signal.SIGTERM) == 0
    server.assert_nothing_left()


@needs_mounts
def test_a_resolver_that_never_answers_holds_up_nobody_else(
    geuwsgi_server: StartServer, apps: Path
) -> None:
    (apps / "resolv.conf").write_text("nameserver 127.0.0.254\noptions timeout:20\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.254", 53))
        server, address = start_with_mounts(
            geuwsgi_server, apps, "", "mount --bind resolv.conf /etc/resolv.conf"
        )
        waiting = [Client(address) for _ in range(15)]
        try:
            for client in waiting:
                client.send(b"GET /resolve HTTP/1.1\r\nHost: a\r\n\r\n")
            deaf.settimeout(10)
            assert deaf.recv(1000)
            began = time.monotonic()
            for _ in range(50):
                assert get(address).status == 200
            assert time.monotonic() - began < 5
            assert not select.select([one.socket for one in waiting], [], [], 0)[0]
        finally:
            for client in waiting:
                client.close()
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    server.assert_nothing_left()
