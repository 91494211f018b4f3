"""The stats server of a running site, and who reads it."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.testing.client import Client, connect, free_port, get
from geuwsgi.testing.process import GEUWSGI, ServerProcess

pytestmark = pytest.mark.e2e

APP = """
import os, signal, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(1)
    if path == "/stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if path == "/raise":
        raise KeyError(path)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


class Site:
    def __init__(self, directory: Path, command: Sequence[str] = GEUWSGI) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.command = command
        self.address = f"127.0.0.1:{free_port()}"
        self.stats = f"127.0.0.1:{free_port()}"
        (directory / "app.py").write_text(APP)

    def start(self, *options: str) -> ServerProcess:
        arguments = ["--http-socket", self.address, "--wsgi-file", "app.py"]
        arguments += ["--gevent", "3", "--processes", "2", "--master"]
        arguments += ["--stats", self.stats, *options]
        server = ServerProcess(
            arguments, directory=self.directory, command=self.command
        )
        server.wait_for_log("spawned uWSGI worker", count=2)
        server.wait_until_ready(self.address, self.stats)
        return server

    def read(self) -> dict[str, Any]:
        with connect(self.stats) as connected, connected.makefile("rb") as file:
            tree: dict[str, Any] = json.loads(file.read())
        return tree


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def keys(tree: Any) -> Any:
    """The keys of a tree, in their order; of lists the first element's."""
    if isinstance(tree, dict):
        return [(name, keys(value)) for name, value in tree.items()]
    if isinstance(tree, list):
        return [keys(tree[0])] if tree else []
    return type(tree).__name__


def test_the_keys_are_those_of_uwsgi(reference_uwsgi: str, tmp_path: Path) -> None:
    trees = []
    for name, command in (("ours", GEUWSGI), ("theirs", (reference_uwsgi,))):
        site = Site(tmp_path / name, command)
        with site.start("--cache2", "name=c,items=10"):
            get(site.address, "/")
            trees.append(site.read())
    ours, theirs = trees
    for tree in trees:
        # Locks are ours or theirs; uWSGI has an unnamed application as well.
        del tree["locks"]
    assert keys(ours) == keys(theirs)
    assert len(ours["workers"]) == len(theirs["workers"]) == 2


def test_requests_are_counted_and_those_in_flight_are_shown(site: Site) -> None:
    with site.start() as server:
        for _ in range(4):
            get(site.address, "/")
        assert get(site.address, "/raise").status == 500
        with Client(site.address) as slow:
            slow.send(b"GET /slow?a=b HTTP/1.1\r\nHost: x\r\n\r\n")
            busy: list[dict[str, Any]] = []

            def is_in_flight() -> bool:
                busy[:] = [
                    core
                    for worker in site.read()["workers"]
                    for core in worker["cores"]
                    if core["in_request"]
                ]
                return bool(busy)

            server.wait_for(is_in_flight, "shows the request in flight")
            assert slow.read_response().body == b"hello"
        (core,) = busy
        assert "REQUEST_URI=/slow?a=b" in core["vars"]
        assert core["vars"][-1] == ""
        assert abs(core["req_info"]["request_start"] - time.time()) < 60
        workers = site.read()["workers"]
        assert sum(worker["requests"] for worker in workers) == 6
        assert sum(core["requests"] for w in workers for core in w["cores"]) == 6
        assert sum(worker["exceptions"] for worker in workers) == 1
        assert sum(app["requests"] for w in workers for app in w["apps"]) == 6
        assert sum(worker["tx"] for worker in workers) > 6 * 5
        assert {worker["status"] for worker in workers} == {"idle"}
        assert server.stop() == 0


def test_metrics_can_be_scraped(site: Site) -> None:
    with site.start():
        get(site.address, "/")
        text = get(site.stats, "/metrics").body.decode()
    counts = [
        float(line.split()[-1])
        for line in text.splitlines()
        if line.startswith("uwsgi_worker_requests_total{")
    ]
    assert len(counts) == 2
    assert sum(counts) == 1


def test_a_worker_that_hangs_is_told_of(site: Site) -> None:
    with site.start() as server, Client(site.address) as client:
        client.send(b"GET /stop HTTP/1.1\r\nHost: x\r\n\r\n")
        server.wait_for(
            lambda: any(not worker["apps"] for worker in site.read()["workers"]),
            "one does not answer",
        )
        hung = [w for w in site.read()["workers"] if not w["apps"]]
        assert len(hung) == 1
        assert hung[0]["status"] == "busy"
        os.kill(hung[0]["pid"], signal.SIGCONT)
        assert client.read_response().body == b"hello"
        assert server.stop() == 0


def test_after_a_reload_the_new_workers_are_told_of(site: Site) -> None:
    with site.start() as server:
        before = {worker["pid"] for worker in site.read()["workers"]}
        server.send_signal(signal.SIGHUP)

        def is_new() -> bool:
            # Somebody answers all the time.
            after = {worker["pid"] for worker in site.read()["workers"]}
            return not after & before and 0 not in after

        server.wait_for(is_new, "shows the new workers")
        assert server.stop() == 0


def test_an_address_in_use_ends_the_start(site: Site) -> None:
    with socket.create_server(("127.0.0.1", int(site.stats.rpartition(":")[2]))):
        arguments = ["--http-socket", site.address, "--wsgi-file", "app.py"]
        arguments += ["--master", "--stats", site.stats]
        with ServerProcess(arguments, directory=site.directory) as server:
            assert server.wait() == 1
            assert f"cannot listen on {site.stats}: address already in use" in (
                server.log
            )


def test_a_unix_socket_is_removed_at_the_end(site: Site) -> None:
    site.stats = "/proc/self/cwd/stats.sock"
    arguments = ["--http-socket", site.address, "--wsgi-file", "app.py"]
    arguments += ["--master", "--stats", "stats.sock"]
    with ServerProcess(arguments, directory=site.directory) as server:
        server.wait_for_log("Stats server enabled on stats.sock")
        assert (site.directory / "stats.sock").is_socket()
        assert server.stop() == 0
    assert not (site.directory / "stats.sock").exists()


def find_uwsgitop() -> str:
    beside = Path(sys.executable).parent / "uwsgitop"
    return str(beside) if beside.exists() else shutil.which("uwsgitop") or ""


@pytest.mark.skipif(not find_uwsgitop(), reason="needs uwsgitop")
def test_uwsgitop_shows_the_workers(site: Site) -> None:
    with site.start() as server:
        pid = str(site.read()["workers"][0]["pid"]).encode()
        reader, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, find_uwsgitop(), site.stats],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        )
        os.close(terminal)
        shown = bytearray()

        def is_shown() -> bool:
            if select.select([reader], [], [], 0)[0]:
                shown.extend(os.read(reader, 65536))
            return pid in shown

        try:
            server.wait_for(is_shown, "is shown by uwsgitop")
            os.write(reader, b"aq")
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
            process.wait()
            os.close(reader)
        assert b"uwsgi-2.0.31" in shown


def test_percentiles_of_times_are_told_where_they_are_asked_for(site: Site) -> None:
    with site.start("--latency-percentiles"):
        for _ in range(3):
            get(site.address)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            told = [one for one in site.read()["workers"] if "latency_p99" in one]
            if told:
                break
            time.sleep(0.01)
        assert (
            all(0 < one["latency_p50"] <= one["latency_p99"] for one in told) and told
        )
