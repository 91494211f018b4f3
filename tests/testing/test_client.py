"""The client against a peer that plays back prepared bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from geuwsgi.testing.client import Client, MalformedResponse, exchange, free_port

Play = Callable[[list[bytes]], str]


@pytest.fixture
def play() -> Iterator[Play]:
    """Answer one connection with the given pieces, then close it."""
    threads = []
    listeners = []

    def serve(listener: socket.socket, pieces: list[bytes]) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)

    def start(pieces: list[bytes]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        thread = threading.Thread(target=serve, args=(listener, pieces))
        thread.start()
        threads.append(thread)
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_two_responses_are_told_apart_however_the_bytes_come(
    play: Play, cut: Callable[[bytes], list[bytes]]
) -> None:
    address = play(
        cut(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: 1\r\nx-a: 2\r\n\r\nabc"
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nde\r\n1;x=y\r\nf\r\n0\r\nTrailer: t\r\n\r\n"
        )
    )
    with Client(address) as client:
        client.send(GET)
        first = client.read_response()
        second = client.read_response()
        assert client.is_closed()
    assert (first.version, first.status, first.reason) == ("HTTP/1.1", 200, "OK")
    assert first.body == b"abc"
    assert first.header_values("X-A") == ["1", "2"]
    assert first.header("X-Missing") is None
    assert (second.status, second.reason, second.body) == (404, "Not Found", b"def")


def test_without_framing_the_body_ends_with_the_connection(play: Play) -> None:
    response = exchange(play([b"HTTP/1.0 200 OK\r\n\r\nall of it"]), GET)
    assert response.text == "all of it"
    assert response.complete


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ],
)
def test_a_body_that_is_cut_off_is_not_complete(play: Play, answer: bytes) -> None:
    response = exchange(play([answer]), GET)
    assert response.body == b"short"
    assert not response.complete


def test_a_response_to_head_has_no_body(play: Play) -> None:
    address = play([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
    response = exchange(address, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"", "ended within a head"),
        (b"HTTP/1.1 200", "ended within a head"),
        (b"SSH-2.0-x\r\n\r\n", "not a status line"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "not a header field"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "not a chunk size",
        ),
    ],
)
def test_what_is_no_response_is_told(play: Play, answer: bytes, what: str) -> None:
    with pytest.raises(MalformedResponse, match=what):
        exchange(play([answer]), GET)


def test_a_server_that_says_nothing_ends_in_a_timeout() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Client(f"127.0.0.1:{listener.getsockname()[1]}", timeout=0.01) as client,
    ):
        client.send(GET)
        with pytest.raises(TimeoutError):
            client.read_response()


def test_a_free_port_can_be_bound() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass
