"""The interfaces of a running server, used as applications use them."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from geuwsgi.testing.client import connect as connect_raw
from geuwsgi.testing.client import get
from tests.protocol.websocket_frames import client_frame
from tests.websocket.conftest import SocketServer

UPGRADE = (
    b"Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def exchange(address: str, request: bytes) -> bytes:
    """Return all that comes back until the server closes."""
    with connect_raw(address) as sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


ECHOES = [
    "/echo",
    "/select",
    "/blocking-select",
    "/object",
    "/gevent",
    "/children",
    "/from-elsewhere",
]


@pytest.mark.parametrize("path", ECHOES)
def test_every_interface_echoes(server: SocketServer, path: str) -> None:
    with server.connect(path) as client:
        for text in ("hello", "grüß dich", "x" * 70_000, "end"):
            client.send(text)
            assert client.recv(timeout=5) == text


@pytest.mark.parametrize("path", ECHOES)
def test_a_burst_is_answered_at_once(server: SocketServer, path: str) -> None:
    # Applications that wait in select must be woken for every message of one segment.
    frames = b"".join(client_frame(1, b"%03d" % n) for n in range(50))
    with connect_raw(server.http) as sock:
        sock.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\n" + UPGRADE)
        answer = sock.recv(1000)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        began = time.monotonic()
        sock.sendall(frames)
        answer = answer.partition(b"\r\n\r\n")[2]
        while len(answer) < 5 * 50:
            answer += sock.recv(1000)
        assert time.monotonic() - began < 2.0
        assert answer == b"".join(b"\x81\x03%03d" % n for n in range(50))


def test_waiting_in_select_with_many_at_once(tmp_path: Path) -> None:
    # 10,000 by hand; benchmarks/ has the same loop as "broadcast".
    server = SocketServer(tmp_path, "--gevent", "300")
    with ExitStack() as ending:
        ending.callback(server.process.kill)
        clients = [ending.enter_context(connect_raw(server.http)) for _ in range(250)]
        for client in clients:
            client.sendall(b"GET /select HTTP/1.1\r\n" + UPGRADE)
        for client in clients:
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += client.recv(1)
            assert answer.startswith(b"HTTP/1.1 101 ")
        for number in range(2):
            for client in clients:
                client.sendall(client_frame(1, b"%03d" % number))
            for client in clients:
                # Behind what it says on a slow machine: that it waited in vain.
                answer = b""
                while not answer.endswith(b"\x81\x03%03d" % number):
                    answer += client.recv(1000)


@pytest.mark.parametrize("path", ["/object", "/gevent"])
def test_text_and_binary_are_told_apart(server: SocketServer, path: str) -> None:
    with server.connect(path) as client:
        client.send(b"\x00\xff")
        assert client.recv(timeout=5) == b"\x00\xff"
        client.send("text")
        assert client.recv(timeout=5) == "text"


def test_bytes_and_binary_of_the_uwsgi_api(server: SocketServer) -> None:
    with server.connect("/echo-binary") as client:
        client.send("text")
        assert client.recv(timeout=5) == b"text"


def test_compression_is_agreed_on(server: SocketServer) -> None:
    with server.connect("/object", compression="deflate") as client:
        assert "permessage-deflate" in str(
            client.response.headers["Sec-WebSocket-Extensions"]  # type: ignore[union-attr]
        )
        client.send("words " * 5000)
        assert client.recv(timeout=5) == "words " * 5000


def test_a_timeout_in_recv_leaves_the_websocket_usable(server: SocketServer) -> None:
    with server.connect("/timeouts") as client:
        time.sleep(0.01)
        client.send("a")
        assert str(client.recv(timeout=5)).startswith("a after")
        assert client.ping().wait(timeout=5)
        client.send("b")
        assert str(client.recv(timeout=5)).startswith("b after")


def test_the_style_of_uwsgis_asynchronous_loop(server: SocketServer) -> None:
    with server.connect("/suspended") as client:
        client.send("one")
        assert client.recv(timeout=5) == "via socket: one"
        assert client.recv(timeout=5) == "timeout"
        client.send("two")
        assert client.recv(timeout=5) == "via socket: two"


def test_waiting_by_yielding(server: SocketServer) -> None:
    body = get(server.http, "/generator").body
    assert body == b"waiting, ready: !, timeout: True, slept"


# Ends


def test_the_application_learns_code_and_reason(server: SocketServer) -> None:
    with server.connect("/echo") as client:
        client.close(4001, "had enough")
    server.process.wait_for_log("^echo ended: 4001 had enough$")
    with server.connect("/object") as client:
        client.close(1001, "tab closed")
    server.process.wait_for_log("^object ended: 1001 tab closed$")


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4321, "so there")])
def test_the_client_learns_code_and_reason(
    server: SocketServer, code: int, reason: str
) -> None:
    with server.connect("/closes") as client:
        client.send(f"{code} {reason}")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)
        assert (client.close_code, client.close_reason) == (code, reason)


@pytest.mark.parametrize(
    ("path", "code"), [("/returns", 1000), ("/crashes", 1011), ("/disconnects", 1000)]
)
def test_how_a_websocket_ends_when_the_application_does(
    server: SocketServer, path: str, code: int
) -> None:
    with server.connect(path) as client:
        with pytest.raises(ConnectionClosed):
            client.send("go")
            while True:
                assert client.recv(timeout=5) == "last words"
        assert client.close_code == code


def test_a_crash_is_in_the_log_and_a_close_is_not(server: SocketServer) -> None:
    with server.connect("/crashes") as client:
        client.send("go")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)
    server.process.wait_for_log("RuntimeError: the application crashed on purpose")
    with server.connect("/echo-binary") as client:
        client.close()
    assert "WebSocketClosed" not in server.process.log


def test_a_peer_that_vanishes_frees_its_core(server: SocketServer) -> None:
    sock = connect_raw(server.http)
    sock.sendall(b"GET /echo HTTP/1.1\r\n" + UPGRADE)
    assert sock.recv(1000)
    before = server.process.log.count("GET /echo ")
    sock.close()
    server.process.wait_for_log("GET /echo ", count=before + 1, timeout=5)


def test_the_log_line_of_a_websocket(server: SocketServer) -> None:
    with server.connect("/echo?logged") as client:
        client.send("12345")
        client.recv(timeout=5)
    server.process.wait_for_log(
        r"GET /echo\?logged => generated 7 bytes in \d+ msecs \(HTTP/1.1 101\)"
    )


# Handshakes


@pytest.mark.parametrize("path", ["/echo", "/object", "/gevent"])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"Version: 13", b"Version: 8"), b"426"),
        ((b"Key: dGhlIHNhbXBsZSBub25jZQ==", b"Key: abc"), b"400"),
        ((b"Host: a\r\n", b"Host: a\r\nContent-Length: 3\r\n"), b"400"),
    ],
)
def test_a_bad_handshake_is_answered(
    server: SocketServer, path: str, change: tuple[bytes, bytes], status: bytes
) -> None:
    request = b"GET " + path.encode() + b" HTTP/1.1\r\n" + UPGRADE.replace(*change)
    answer = exchange(server.http, request + b"abc")
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert (b"Sec-WebSocket-Version: 13\r\n" in answer) == (status == b"426")
    assert answer.count(b"HTTP/1.1") == 1
    assert get(server.http, "/plain").body == b"plain"


def test_a_request_without_upgrade_is_no_websocket(server: SocketServer) -> None:
    assert get(server.http, "/rejects").status == 426
    assert get(server.http, "/echo").status == 426


def test_an_application_may_answer_an_upgrade_with_a_page(
    server: SocketServer,
) -> None:
    with pytest.raises(InvalidStatus) as raised:
        server.connect("/forbidden")
    assert raised.value.response.status_code == 403
    assert raised.value.response.body == b"no websockets for you"


def test_a_second_handshake_is_an_error(server: SocketServer) -> None:
    with server.connect("/twice") as client:
        assert "handed over already" in str(client.recv(timeout=5))


@pytest.mark.parametrize(
    ("path", "offered", "chosen"),
    [
        ("/object", ["v1.echo", "v2.echo"], "v2.echo"),
        ("/object", ["v1.echo"], "v1.echo"),
        ("/object", ["v3.echo"], None),
        ("/echo", ["only"], "only"),
        ("/echo", ["one", "two"], None),
        ("/echo", None, None),
    ],
)
def test_subprotocols(
    server: SocketServer, path: str, offered: list[str] | None, chosen: str | None
) -> None:
    with server.connect(path, subprotocols=offered) as client:
        assert client.subprotocol == chosen


def test_frames_that_come_with_the_handshake_are_kept(server: SocketServer) -> None:
    with connect_raw(server.http) as sock:
        sock.sendall(b"GET /echo HTTP/1.1\r\n" + UPGRADE + client_frame(1, b"early"))
        answer = b""
        while not answer.endswith(b"\x81\x05early"):
            answer += sock.recv(1000)


# Broadcast


def test_a_broadcast_reaches_everybody(server: SocketServer) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(
                server.connect("/chat", compression=("deflate", None)[n % 2])
            )
            for n in range(6)
        ]
        for n, client in enumerate(clients):
            assert client.recv(timeout=5) == f"{n + 1} here"
        clients[2].send("to all " * 100)
        for client in clients:
            assert client.recv(timeout=5) == "to all " * 100
        assert clients[2].recv(timeout=5) == "sent to 6"


# The other functions of the request

CALLS = [
    ("cl", [], None),
    ("connection_fd", [], None),
    ("is_connected", [999], "False"),
    ("is_connected", [-1], "False"),
    ("is_connected", ["a"], "TypeError"),
    ("is_connected", [], "TypeError"),
    ("ready_fd", [], "-1"),
    ("suspend", [], "True"),
    ("green_schedule", [], "True"),
    ("async_sleep", [0], "b''"),
    ("async_sleep", [0.01], "b''"),
    ("wait_fd_read", [999], "OSError: unable to fd 999 to the event queue"),
    ("wait_fd_write", [1, "a"], "TypeError"),
    ("wait_fd_read", [], "TypeError"),
    ("close", [999], "None"),
    ("close", ["a"], "TypeError"),
    ("connect", ["127.0.0.1:1"], "-1"),
    ("connect", ["nonsense"], "-1"),
    ("connect", ["b:127.0.0.1:1"], "TypeError"),
    ("recv", [999], "None"),
    ("recv", [], "TypeError"),
    ("send", ["str"], "TypeError"),
    ("send", [999, "b:x"], "None"),
    ("add_var", ["A", "B"], "True"),
    ("add_var", ["b:A", "b:B"], "True"),
    ("add_var", ["A"], "TypeError"),
    ("add_var", [1, 2], "TypeError"),
    ("offload", [], "b''"),
    ("offload", [1, 2, 3], "b''"),
    ("set_user_harakiri", [30], "None"),
    ("set_user_harakiri", [0], "None"),
    ("set_user_harakiri", ["a"], "TypeError"),
    ("set_user_harakiri", [1.5], "TypeError"),
    ("sendfile", ["/nonexistent"], "None"),
    ("set_logvar", ["a" * 256, "b"], "None"),
    ("set_logvar", ["a", "b" * 256], "None"),
    ("async_connect", ["/nonexistent"], "-1"),
    ("close", [-1], "None"),
    ("sendfile", [1.5], "TypeError"),
    ("chunked_read", ["a"], "TypeError"),
    ("websocket_handshake", [], "HandshakeError: unable to complete"),
    ("websocket_handshake", [1], "TypeError"),
    ("websocket_recv", [], "WebSocketIOError: unable to receive websocket message"),
    ("websocket_recv_nb", [], "WebSocketIOError: unable to receive"),
    ("websocket_send", ["a"], "WebSocketIOError: unable to send websocket message"),
    ("websocket_send_binary", ["a"], "WebSocketIOError: unable to send websocket bin"),
]


def test_types_and_errors_are_uwsgis(server: SocketServer) -> None:
    body = json.dumps([[name, arguments] for name, arguments, _ in CALLS]).encode()
    head = b"POST /calls HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = exchange(server.http, head + body)
    results = json.loads(answer.partition(b"\r\n\r\n")[2])
    wrong = {
        f"{name}{arguments}": (result, expected)
        for (name, arguments, expected), result in zip(CALLS, results, strict=True)
        if expected is not None and not result.startswith(expected)
    }
    assert not wrong
    assert results[0] == str(len(body))
    assert int(results[1]) > 2


def test_messages_out_of_a_shared_area(server: SocketServer) -> None:
    with server.connect("/areas") as client:
        assert client.recv(timeout=5) == "grüß"
        assert client.recv(timeout=5) == b"dich"
        assert client.recv(timeout=5) == bytes(3)
        for _ in range(4):
            for kind in ("message", "binary message"):
                expected = f"OSError: unable to send websocket {kind}: shared area "
                assert str(client.recv(timeout=5)).startswith(expected)
        assert client.recv(timeout=5) == "dich"
        client.send("enough")


def test_connecting_to_others(server: SocketServer) -> None:
    assert get(server.http, "/sockets-api").body == b"plain plain"


def test_chunks_are_given_as_they_came(server: SocketServer) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n"
    chunked = b"Transfer-Encoding: chunked\r\nConnection: close"
    body = b'5\r\nhello\r\n3;x="y"\r\nabc\r\n0\r\nT: railer\r\n\r\n'
    answer = exchange(server.http, head % (b"/chunks", chunked) + body)
    assert answer.endswith(b"hello|abc")
    answer = exchange(
        server.http,
        head % (b"/chunks", b"Content-Length: 5\r\nConnection: close") + b"hello",
    )
    assert answer.endswith(b"hello")
    answer = exchange(server.http, head % (b"/chunks", b"Connection: close"))
    assert answer.endswith(b"\r\n\r\n") or answer.endswith(b"0\r\n\r\n")


def test_chunks_that_come_slowly(server: SocketServer) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect_raw(server.http) as sock:
        sock.sendall(head % b"/chunks-nb" + b"5\r\nhe")
        time.sleep(0.01)
        sock.sendall(b"llo\r\n1\r\n!\r\n0\r\n\r\nGET /plain HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := sock.recv(1000):
            answer += piece
    assert b"[None, b'hello', b'!']" in answer
    assert answer.endswith(b"plain"), "the connection goes on behind the chunks"
    with connect_raw(server.http) as sock:
        sock.sendall(head % b"/chunks-late" + b"5\r\nhe")
        assert b"OSError: unable to receive chunked part: timeout" in sock.recv(1000)


@pytest.mark.parametrize("body", [b"xyz\r\n", b"200000\r\n", b"5\r\nhelloworld\r\n"])
def test_bad_chunks_are_an_oserror(server: SocketServer, body: bytes) -> None:
    head = (
        b"POST /chunks-late HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    answer = exchange(server.http, head + body)
    assert b"OSError: unable to receive chunked part" in answer


def test_raw_bytes_and_files(server: SocketServer) -> None:
    answer = exchange(server.http, b"GET /raw HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer == b"HTTP/1.1 299 Raw\r\nX: y\r\n\r\nraw tail"
    answer = exchange(server.http, b"GET /sendfile-alone HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer == b"ne applicat"
    answer = exchange(server.http, b"GET /sendfile HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: text/plain" in head
    assert body == b"ne applicat"
    answer = exchange(server.http, b"GET /disconnect HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer == b""
