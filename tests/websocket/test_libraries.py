"""The libraries that sites use, at both ends of the connection."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket as websocket_client
from websockets.exceptions import ConnectionClosed

from geuwsgi.testing.client import get
from tests.websocket.conftest import SocketServer

pytest.importorskip("flask_sock")
socketio = pytest.importorskip("socketio")
pytest.importorskip("flask_socketio")


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketServer]:
    server = SocketServer(tmp_path_factory.mktemp("libraries"), app="libraries")
    yield server
    server.process.kill()


@pytest.mark.parametrize("path", ["/flask-sock", "/flask-sockets"])
def test_flask_libraries_echo(libraries: SocketServer, path: str) -> None:
    with libraries.connect(path) as client:
        for message in ("hello", "grüß", "x" * 50_000, b"\x00\xff"):
            client.send(message)
            assert client.recv(timeout=5) == message
    assert get(libraries.http, "/page").body == b"a page"
    assert "Traceback" not in libraries.process.log


def test_flask_uwsgi_websocket(tmp_path: Path) -> None:
    pytest.importorskip("flask_uwsgi_ws")
    server = SocketServer(tmp_path, app="flask_uwsgi")
    try:
        with server.connect("/echo") as one, server.connect("/echo") as other:
            for message in ("hello", "x" * 50_000, "end"):
                for client in (one, other):
                    client.send(message)
                    assert client.recv(timeout=5) == message
        assert get(server.http, "/page").body == b"a page"
        assert "Traceback" not in server.process.log
    finally:
        server.process.kill()


def test_flask_sock_compresses_by_itself(libraries: SocketServer) -> None:
    with libraries.connect("/flask-sock", compression="deflate") as client:
        client.send("words " * 1000)
        assert client.recv(timeout=5) == "words " * 1000


def test_a_flask_sock_handler_that_returns_ends_cleanly(
    libraries: SocketServer,
) -> None:
    with libraries.connect("/flask-sock-returns") as client:
        assert client.recv(timeout=5) == "bye"
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)
        assert client.close_code == 1000
    libraries.process.wait_for_log(r"GET /flask-sock-returns => .* 101\)")
    assert "Traceback" not in libraries.process.log


def test_many_flask_sock_clients_at_once(libraries: SocketServer) -> None:
    def talk(number: int) -> None:
        with libraries.connect("/flask-sock") as client:
            for n in range(20):
                client.send(f"{number}-{n}")
                assert client.recv(timeout=10) == f"{number}-{n}"
        done.append(number)

    done: list[int] = []
    threads = [threading.Thread(target=talk, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(20))


def test_the_client_package_websocket_client(server: SocketServer) -> None:
    client = websocket_client.create_connection(
        f"ws://{server.http}/object", timeout=20, subprotocols=["v1.echo"]
    )
    assert client.getsubprotocol() == "v1.echo"
    client.send("hello")
    assert client.recv() == "hello"
    client.send_binary(b"\xff" * 70_000)
    assert client.recv() == b"\xff" * 70_000
    client.ping("are you there")
    opcode, payload = client.recv_data(control_frame=True)
    assert (opcode, payload) == (websocket_client.ABNF.OPCODE_PONG, b"are you there")
    client.close(status=4000, reason=b"enough")


NODE = """
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[2], {perMessageDeflate: true});
const sent = ['hello', 'x'.repeat(100000), 'gr\\u00fc\\u00df'];
let got = 0;
ws.on('open', () => sent.forEach(text => ws.send(text)));
ws.on('message', data => {
  if (data.toString() !== sent[got]) { console.log('wrong', got); process.exit(1); }
  if (++got === sent.length) { ws.ping('p'); }
});
ws.on('pong', data => { console.log('pong', data.toString()); ws.close(4002, 'done'); });
ws.on('close', (code, reason) => { console.log('closed', code, reason.toString()); });
ws.on('error', error => { console.log(error.message); process.exit(1); });
"""


def test_the_ws_package_of_node(server: SocketServer, tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--silent", "ws@8"],
        cwd=tmp_path,
        check=False,
        timeout=60,
    )
    if installed.returncode:
        pytest.skip("the npm package ws cannot be installed")
    (tmp_path / "client.js").write_text(NODE)
    ended = subprocess.run(
        ["node", "client.js", f"ws://{server.http}/object"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ended.stdout == "pong p\nclosed 4002 done\n"


# Socket.IO


class Listener:
    """A Socket.IO client and what it heard."""

    def __init__(self, address: str, transports: list[str]) -> None:
        self.heard: list[tuple[str, Any]] = []
        self._news = threading.Condition()
        self.client = socketio.Client(reconnection=False, request_timeout=20)
        self.client.on("*", self._hear)
        self.client.connect(f"http://{address}", transports=transports, wait_timeout=10)

    def _hear(self, event: str, data: Any) -> None:
        with self._news:
            self.heard.append((event, data))
            self._news.notify_all()

    def wait_for(self, event: str, data: Any) -> None:
        with self._news:
            heard: Callable[[], bool] = lambda: (event, data) in self.heard  # noqa: E731
            assert self._news.wait_for(heard, timeout=10), self.heard


@pytest.fixture(scope="module", params=["gevent_uwsgi", "gevent"])
def socketio_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SocketServer]:
    server = SocketServer(
        tmp_path_factory.mktemp("socketio"),
        "--env",
        f"MODE={request.param}",
        app="socketio_site",
    )
    yield server
    server.process.kill()


@pytest.mark.parametrize(
    "transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join
)
def test_socketio(socketio_server: SocketServer, transports: list[str]) -> None:
    one = Listener(socketio_server.http, transports)
    two = Listener(socketio_server.http, ["websocket"])
    try:
        assert one.client.call("join", "room", timeout=10) == 4
        one.wait_for("joined", "room")
        two.client.emit("say", "to everybody")
        one.wait_for("said", "to everybody")
        two.wait_for("said", "to everybody")
        assert one.client.call("binary", b"\x00\x01\x02", timeout=10) == b"\x02\x01\x00"
        one.client.emit("later", "from a task")
        one.wait_for("said", "from a task")
        assert one.client.transport() == transports[-1]
    finally:
        one.client.disconnect()
        two.client.disconnect()
    assert get(socketio_server.http, "/page").body == b"a page"
    assert "Traceback" not in socketio_server.process.log
