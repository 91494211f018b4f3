"""Accepting: in batches, resting after errors, left to siblings where that is fair."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import gevent
import pytest
from gevent import get_hub

from geuwsgi.net.server import Acceptor
from geuwsgi.net.stream import Stream

Peer = tuple[Any, Any]


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def listener(request: Any, tmp_path: Any) -> Iterator[socket.socket]:
    family = request.param
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        if family == socket.AF_UNIX:
            listening.bind(str(tmp_path / "socket"))
        else:
            try:
                listening.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
            except OSError:
                pytest.skip("no such address here")
        listening.listen(64)
        listening.setblocking(False)
        yield listening


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        listening.setblocking(False)
        yield listening


class Door:
    """An acceptor and what it let in, by turns of the loop."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        self.let_in: list[Peer] = []
        self.clients: list[socket.socket] = []
        self.errors: list[OSError] = []
        self.stays = True
        self.acceptor = Acceptor(
            listening, self.accepted, self.errors.append, self.excess, batch=4
        )

    def accepted(self, sock: Any, address: Any) -> bool:
        self.let_in.append((sock, address))
        return self.stays

    def excess(self) -> int:
        return 0

    def connect(self, count: int = 1) -> socket.socket:
        """Connect so many clients and return the last."""
        for _ in range(count):
            client = socket.socket(self.listening.family)
            client.settimeout(5)
            client.connect(self.listening.getsockname())
            self.clients.append(client)
        return client

    def wait_for(self, count: int) -> None:
        with gevent.Timeout(5):
            while len(self.let_in) < count:
                gevent.sleep(0.001)

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *error: object) -> None:
        self.acceptor.pause()
        for sock, _ in self.let_in:
            sock.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def door(tcp: socket.socket) -> Iterator[Door]:
    with Door(tcp) as door:
        yield door


def test_what_is_accepted_never_blocks_and_is_not_inherited(
    listener: socket.socket,
) -> None:
    with Door(listener) as door:
        client = door.connect()
        door.acceptor.resume()
        door.wait_for(1)
        sock, address = door.let_in[0]
        assert not os.get_blocking(sock.fileno())
        assert not os.get_inheritable(sock.fileno())
        if listener.family == socket.AF_UNIX:
            assert address == ""
        else:
            assert address == client.getsockname()


def test_nagle_does_not_hold_back_what_is_sent(door: Door) -> None:
    door.connect()
    door.acceptor.resume()
    door.wait_for(1)
    stream = Stream(door.let_in[0][0], get_hub())
    assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_stream_reads_writes_and_ends(listener: socket.socket) -> None:
    with Door(listener) as door:
        client = door.connect()
        door.acceptor.resume()
        door.wait_for(1)
        stream = Stream(door.let_in[0][0], get_hub())
        assert stream.recv_nowait(100) is None
        client.sendall(b"q" * 40_000)
        received = b""
        while len(received) < 40_000:
            received += stream.recv(100)
            received += stream.recv(30_000)
        assert received == b"q" * 40_000
        stream.send_more(b"answer")
        stream.send_all(memoryview(b" and more"))
        answer = b""
        while len(answer) < 15:
            answer += client.recv(100)
        assert answer == b"answer and more"
        stream.close()
        assert client.recv(100) == b""


def test_the_socket_of_a_stream_is_one_of_the_library(door: Door) -> None:
    client = door.connect()
    door.acceptor.resume()
    door.wait_for(1)
    fileno = door.let_in[0][0].fileno()
    stream = Stream(door.let_in[0][0], get_hub())
    sock = stream.socket
    assert stream.socket is sock
    assert sock.fileno() == stream.fileno() == fileno
    assert sock.getpeername() == client.getsockname()
    assert sock.gettimeout() == 0.0
    client.sendall(b"both")
    with gevent.Timeout(5):
        assert stream.recv(10) == b"both"
    stream.close()
    assert sock.fileno() == -1


def test_one_turn_takes_a_batch_at_the_most(door: Door) -> None:
    door.connect(12)
    turns: list[int] = []

    def count() -> None:
        turns.append(len(door.let_in))
        if len(door.let_in) < 12:
            get_hub().loop.run_callback(count)

    door.acceptor.resume()
    get_hub().loop.run_callback(count)
    door.wait_for(12)
    growth = [later - earlier for earlier, later in pairwise(turns)]
    assert max(growth) <= 4


def test_whoever_is_let_in_may_end_the_batch(tcp: socket.socket) -> None:
    class Narrow(Door):
        def accepted(self, sock: Any, address: Any) -> bool:
            self.acceptor.pause()
            return super().accepted(sock, address)

    with Narrow(tcp) as door:
        door.connect(6)
        for expected in range(1, 7):
            door.acceptor.resume()
            door.wait_for(expected)
            gevent.sleep(0)
            assert len(door.let_in) == expected


def test_excess_is_asked_again_when_connections_stay(tcp: socket.socket) -> None:
    asked: list[int] = []

    class Asked(Door):
        def excess(self) -> int:
            asked.append(len(self.let_in))
            return 0

    with Asked(tcp) as door:
        door.connect(8)
        door.acceptor.resume()
        door.wait_for(8)
        assert set(asked) >= set(range(8))
        asked.clear()
        door.stays = False
        door.connect(4)
        door.wait_for(12)
        # Those that have ended already are nobody's.
        assert len(asked) <= 5


def test_in_excess_it_waits_for_siblings_but_not_for_ever(tcp: socket.socket) -> None:
    waits: list[int] = []

    class Crowded(Door):
        def excess(self) -> int:
            waits.append(len(self.let_in))
            return 1

    with Crowded(tcp) as door:
        door.connect()
        door.acceptor.resume()
        door.wait_for(1)
        assert waits[:2] == [0, 0]


def test_the_rest_is_accepted_though_it_is_paused(door: Door) -> None:
    door.connect(7)
    done = gevent.event.Event()

    def accept_the_rest() -> None:
        door.acceptor.accept_the_rest()
        done.set()

    get_hub().loop.run_callback(accept_the_rest)
    assert done.wait(5)
    assert len(door.let_in) == 7


def test_out_of_descriptors_it_rests_and_goes_on(door: Door) -> None:
    door.connect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.open(os.devnull, os.O_RDONLY)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
    try:
        door.acceptor.resume()
        with gevent.Timeout(5):
            while len(door.errors) < 3:
                gevent.sleep(0.001)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {error.errno for error in door.errors} == {errno.EMFILE}
    assert not door.let_in
    door.wait_for(1)


def test_an_error_in_what_is_told_does_not_end_accepting(
    tcp: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    class Clumsy(Door):
        has_failed = False

        def accepted(self, sock: Any, address: Any) -> bool:
            if not self.has_failed:
                self.has_failed = True
                raise RuntimeError("clumsy")
            return super().accepted(sock, address)

    with Clumsy(tcp) as door:
        door.connect(2)
        door.acceptor.resume()
        door.wait_for(1)
        assert "RuntimeError: clumsy" in capsys.readouterr().err
        assert door.clients[0].recv(1) == b""
