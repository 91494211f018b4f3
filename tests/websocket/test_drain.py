"""What becomes of open websockets when their worker ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.websocket.conftest import SocketServer


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[SocketServer]:
    server = SocketServer(tmp_path, "--websocket-drain-jitter", "0.2")
    yield server
    server.process.kill()


def end_of(client: ClientConnection) -> tuple[int | None, str | None]:
    with pytest.raises(ConnectionClosed):
        while True:
            client.recv(timeout=10)
    return client.close_code, client.close_reason


def test_a_reload_sends_1012_and_the_new_worker_serves(
    own_server: SocketServer,
) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(own_server.connect(path))
            for path in ("/echo", "/object", "/select", "/gevent") * 3
        ]
        failures: list[str] = []
        served: list[str] = []
        stop = threading.Event()

        def come_and_go() -> None:
            while not stop.is_set():
                try:
                    with own_server.connect("/drains") as client:
                        served.append(str(client.recv(timeout=10)))
                except Exception as error:
                    failures.append(repr(error))

        visitor = threading.Thread(target=come_and_go)
        visitor.start()
        try:
            own_server.process.send_signal(signal.SIGHUP)
            ends = [end_of(client) for client in clients]
            before = len(served)
            deadline = time.monotonic() + 10
            while len(served) < before + 3 and time.monotonic() < deadline:
                time.sleep(0.005)
        finally:
            stop.set()
            visitor.join()
        assert ends == [(1012, "the server restarts")] * 12
        assert not failures
        assert len(set(served)) == 2, "both workers greeted visitors"


def test_an_application_is_told_before_its_websocket_ends(
    own_server: SocketServer,
) -> None:
    with own_server.connect("/drains") as client:
        assert str(client.recv(timeout=5)).startswith("pid ")
        own_server.process.send_signal(signal.SIGHUP)
        assert client.recv(timeout=10) == "draining"
        assert end_of(client) == (1012, "the server restarts")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_sends_1001(own_server: SocketServer, number: signal.Signals) -> None:
    with own_server.connect("/echo") as one, own_server.connect("/object") as two:
        one.send("x")
        assert one.recv(timeout=5) == "x"
        began = time.monotonic()
        own_server.process.send_signal(number)
        assert end_of(one) == (1001, "the server stops")
        assert end_of(two) == (1001, "the server stops")
    assert own_server.process.wait() == 0
    assert time.monotonic() - began < 5
    own_server.process.assert_nothing_left()
