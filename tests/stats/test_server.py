"""Visitors of the stats server, over real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import resource
import select
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geuwsgi.net.listeners import Listener, SocketOptions, Spec, open_listeners
from geuwsgi.shared import scoreboard as sb
from geuwsgi.shared.scoreboard import Scoreboard
from geuwsgi.stats.details import worker_details
from geuwsgi.stats.model import InstanceStats
from geuwsgi.stats.server import Deliver, StatsOptions, StatsServer
from geuwsgi.stats.snapshot import InstanceFacts, take_snapshot
from geuwsgi.wsgi.applications import Application

FACTS = InstanceFacts(
    version="2.0.31", pid=7, uid=0, gid=0, cwd="/srv", workers=2, cores=3
)


class Loop:
    """A loop in a thread, as the master's: a selector whose keys carry functions."""

    def __init__(self, options: StatsOptions, listener: Listener) -> None:
        self.board = Scoreboard.create(4)
        self.selector = selectors.DefaultSelector()
        self.delays = False
        self._delayed: list[Deliver] = []
        self.server = StatsServer(listener, self.selector, self._ask, options)
        self._listener = listener
        self._stop = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _ask(self, deliver: Deliver) -> None:
        if self.delays:
            self._delayed.append(deliver)
        else:
            deliver(take_snapshot(FACTS, self.board, []))

    def _run(self) -> None:
        while not self._stop:
            events = self.selector.select(0.01)
            if not events:
                while self._delayed:
                    self._delayed.pop()(InstanceStats("2.0.31", 8, 0, 0, "/"))
            for key, mask in events:
                key.data(mask)
            self.server.tick()

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self.server.close()
        self._listener.close(vacuum=True)
        assert not self.selector.get_map()
        self.selector.close()
        self.board.close()


Start = Callable[..., tuple[Loop, Listener]]


@pytest.fixture
def start() -> Iterator[Start]:
    loops: list[Loop] = []

    def start(
        options: StatsOptions | None = None, address: str = "127.0.0.1:0"
    ) -> tuple[Loop, Listener]:
        (listener,) = open_listeners([Spec("stats", address)])
        loops.append(Loop(options or StatsOptions(), listener))
        return loops[-1], listener

    yield start
    for loop in loops:
        loop.close()


def visit(
    listener: Listener, request: bytes = b"", *, half_close: bool = False
) -> bytes:
    with socket.socket(listener.socket.family) as visitor:
        visitor.settimeout(5)
        visitor.connect(listener.socket.getsockname())
        visitor.sendall(request)
        if half_close:
            visitor.shutdown(socket.SHUT_WR)
        with visitor.makefile("rb") as file:
            return file.read()


def test_who_says_nothing_gets_the_bare_json(start: Start) -> None:
    _, listener = start()
    assert json.loads(visit(listener))["pid"] == 7


def test_who_says_nothing_and_ends_his_half_gets_it_too(start: Start) -> None:
    _, listener = start()
    assert json.loads(visit(listener, half_close=True))["pid"] == 7


def test_who_speaks_http_gets_http(start: Start) -> None:
    _, listener = start()
    head, _, body = visit(listener, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").partition(
        b"\r\n\r\n"
    )
    assert head.decode().split("\r\n") == [
        "HTTP/1.0 200 OK",
        "Connection: close",
        "Access-Control-Allow-Origin: *",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    assert json.loads(body)["pid"] == 7


def test_with_stats_http_everyone_gets_http(start: Start) -> None:
    _, listener = start(StatsOptions(http=True, minified=True))
    assert visit(listener).startswith(b"HTTP/1.0 200 OK\r\n")


def test_metrics_are_for_prometheus(start: Start) -> None:
    _, listener = start()
    answer = visit(listener, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert b"Content-Type: text/plain; version=0.0.4" in answer
    assert b'uwsgi_worker_requests_total{worker_id="2"} 0\n' in answer


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HEAD / HTTP/1.1", b"200 OK"),
        (b"GET /nothing HTTP/1.1", b"404 Not Found"),
        (b"POST / HTTP/1.1", b"405 Method Not Allowed"),
        (b"\x16\x03\x01", b"405 Method Not Allowed"),
    ],
)
def test_other_requests_get_their_status(
    start: Start, line: bytes, status: bytes
) -> None:
    _, listener = start()
    answer = visit(listener, line + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 " + status)
    if line.startswith(b"HEAD"):
        assert answer.endswith(b"\r\n\r\n")


def test_a_request_that_never_ends_is_left(start: Start) -> None:
    _, listener = start()
    with contextlib.suppress(ConnectionError):
        assert visit(listener, b"GET / HTTP/1.1\r\n" + b"x" * 20000) == b""


def test_a_process_without_descriptors_does_not_spin() -> None:
    (listener,) = open_listeners([Spec("stats", "127.0.0.1:0")])
    selector = selectors.DefaultSelector()
    now = 100.0
    board = Scoreboard.create(1)
    server = StatsServer(
        listener,
        selector,
        lambda deliver: deliver(take_snapshot(FACTS, board, [])),
        clock=lambda: now,
    )
    with socket.create_connection(listener.socket.getsockname()):
        free = os.dup(0)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        os.close(free)
        try:
            ((key, mask),) = selector.select(1)
            key.data(mask)
            assert selector.select(0) == []
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert server.next_deadline() == 101.0
        now = 101.0
        server.tick()
        ((key, mask),) = selector.select(1)
        key.data(mask)
        assert server.next_deadline() < float("inf")
    server.close()
    listener.close(vacuum=True)
    assert not selector.get_map()
    selector.close()
    board.close()


def test_it_listens_on_unix_sockets_too(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, listener = start(address="stats.sock")
    assert json.loads(visit(listener))["pid"] == 7


def test_a_slow_visitor_makes_nobody_wait(start: Start) -> None:
    _, listener = start()
    with socket.create_connection(listener.socket.getsockname()) as slow:
        slow.sendall(b"GET /")
        assert json.loads(visit(listener))["pid"] == 7


def test_an_answer_that_comes_later_is_delivered(start: Start) -> None:
    loop, listener = start()
    loop.delays = True
    assert json.loads(visit(listener, half_close=True))["pid"] == 8
    assert json.loads(visit(listener))["pid"] == 8


def test_the_scoreboard_becomes_statistics() -> None:
    board = Scoreboard.create(3)
    for index, (worker, spawned, requests) in enumerate(((1, 100, 5), (1, 200, 6))):
        row = board.row(index)
        row[sb.PID] = 1000 + index
        row[sb.WORKER_ID] = worker
        row[sb.LAST_SPAWN] = spawned
        row[sb.REQUESTS] = requests
        row[sb.KEPT_REQUESTS] = 10
        row[sb.CORES_BUSY] = 1
        row[sb.ACCEPTING] = 1
        row[sb.HEARTBEAT_MS] = time.monotonic_ns() // 1_000_000 - 1500
    stats = take_snapshot(FACTS, board, [])
    first, second = stats.workers
    assert (first.pid, first.requests, first.delta_requests) == (1001, 16, 6)
    assert (first.status, first.accepting) == ("busy", 1)
    assert 1500 <= first.silent_ms < 60000
    assert (second.pid, second.status, len(second.cores)) == (0, "cheap", 3)
    board.close()


class Live:
    def __init__(self) -> None:
        self.environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "n": 1}
        self.started = 1795473780.5


def test_what_workers_answer_is_put_in_its_place() -> None:
    board = Scoreboard.create(1)
    application = Application(0, "/a", lambda e, s: [], startup_s=2, requests=4)
    told = worker_details([application], {2: Live()}, served=[0, 5, 6])
    details = {1: json.loads(json.dumps(told))}
    worker = take_snapshot(FACTS, board, [], details=details).workers[0]
    (app,) = worker.apps
    assert (app.mountpoint, app.startup_time, app.requests) == ("/a", 2, 4)
    assert [core.requests for core in worker.cores] == [0, 5, 6]
    assert worker.cores[2].vars == ("REQUEST_METHOD=GET",)
    assert worker.cores[2].started == 1795473780
    board.close()


def test_the_queue_of_a_tcp_socket_is_counted() -> None:
    (listener,) = open_listeners(
        [Spec("http", "127.0.0.1:0")], SocketOptions(backlog=17)
    )
    board = Scoreboard.create(1)
    with socket.create_connection(listener.socket.getsockname()):
        (told,) = take_snapshot(FACTS, board, [listener]).sockets
    assert (told.queue, told.max_queue, told.proto) == (1, 17, "http")
    listener.close()
    board.close()


@pytest.mark.skipif(shutil.which("uwsgitop") is None, reason="needs uwsgitop")
def test_uwsgitop_shows_it(start: Start) -> None:
    loop, listener = start()
    row = loop.board.row(0)
    row[sb.PID] = 4321
    row[sb.WORKER_ID] = 1
    row[sb.REQUESTS] = 77
    reader, terminal = pty.openpty()
    process = subprocess.Popen(
        [shutil.which("uwsgitop") or "", listener.name],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
    )
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 10
    try:
        while b"4321" not in shown and time.monotonic() < deadline:
            if select.select([reader], [], [], 1)[0]:
                shown += os.read(reader, 65536)
        os.write(reader, b"q")
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)
    assert re.search(rb"uwsgi-2\.0\.31", shown)
    assert b"4321" in shown
