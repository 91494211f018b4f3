"""Socket.IO in four workers: geuwsgi's channels carry what one of them emits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from geuwsgi.testing.client import get
from tests.websocket.conftest import SocketServer

socketio = pytest.importorskip("socketio")
pytest.importorskip("flask_socketio")


class Client:
    """A Socket.IO client; ``worker`` is the process that its session is in."""

    def __init__(self, address: str, **how: Any) -> None:
        self.simple = socketio.SimpleClient(request_timeout=20)
        self.simple.connect(f"http://{address}", wait_timeout=20, **how)
        hello = self.wait_for("hello")
        self.worker, self.sid = hello["worker"], hello["sid"]

    def wait_for(self, event: str) -> Any:
        while True:
            name, *data = self.simple.receive(timeout=20)
            if name == event:
                return data[0]


@pytest.fixture(scope="module", params=["gevent", "gevent_uwsgi"])
def workers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SocketServer]:
    server = SocketServer(
        tmp_path_factory.mktemp("workers"),
        *("--processes", "4", "--sticky", "query:sid", "--mule"),
        *("--env", f"MODE={request.param}"),
        app="socketio_workers",
    )
    yield server
    server.process.kill()


@pytest.fixture
def apart(workers: SocketServer) -> Iterator[tuple[Client, Client]]:
    """Two clients in different workers; one began with polling."""
    with ExitStack() as ending:

        def connect(**how: Any) -> Client:
            client = Client(workers.http, **how)
            ending.callback(client.simple.disconnect)
            return client

        one = connect()
        for _ in range(40):
            other = connect(transports=["websocket"])
            if other.worker != one.worker:
                break
        assert other.worker != one.worker
        yield one, other


def test_an_event_reaches_the_clients_of_all_workers(
    workers: SocketServer, apart: tuple[Client, Client]
) -> None:
    assert get(workers.http, "/tell").body == b"told"
    for client in apart:
        assert client.wait_for("told") == "everybody"


def test_a_mule_reaches_the_clients(
    workers: SocketServer, apart: tuple[Client, Client]
) -> None:
    assert get(workers.http, "/tell-from-mule").body == b"asked"
    for client in apart:
        assert client.wait_for("told") == "by a mule"


def test_a_room_is_in_all_workers(apart: tuple[Client, Client]) -> None:
    one, other = apart
    assert "attic" in one.simple.call("join", "attic", timeout=20)
    for message in ("hello", "x" * 250_000, b"\0\xff" * 10):
        other.simple.emit("say", ("attic", message))
        assert one.wait_for("said") == message


def test_an_answer_finds_the_worker_that_asked(apart: tuple[Client, Client]) -> None:
    one, other = apart

    @other.simple.client.on("question")  # type: ignore[untyped-decorator]
    def answer(question: str) -> str:
        return question.upper()

    one.simple.emit("ask", (other.sid, "who?"))
    assert one.wait_for("answered") == ["WHO?", one.worker]


def test_a_client_is_disconnected_by_another_worker(
    apart: tuple[Client, Client],
) -> None:
    one, other = apart
    gone = threading.Event()
    other.simple.client.reconnection = False
    other.simple.client.on("disconnect", lambda *_: gone.set())
    one.simple.emit("throw out", other.sid)
    assert gone.wait(20)
