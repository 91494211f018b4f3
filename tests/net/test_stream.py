from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent import get_hub

from geuwsgi.errors import Disconnected, LocalProtocolError, PeerTimeout
from geuwsgi.net.stream import Stream


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = Stream(ours, get_hub())
    yield stream, theirs
    stream.close()
    theirs.close()


def test_recv_returns_what_is_there(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    peer.send(b"hello")
    assert stream.recv(3) == b"hel"
    assert stream.recv(100) == b"lo"


def test_recv_parks_until_something_comes(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    reading = gevent.spawn(stream.recv, 100)
    gevent.sleep(0)
    assert stream.is_waiting
    peer.send(b"later")
    assert reading.get(timeout=1) == b"later"
    assert not stream.is_waiting


def test_many_waits_use_one_watcher(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair

    def echo() -> None:
        while received := stream.recv_after_wait(100):
            stream.send_all(received)

    echoing = gevent.spawn(echo)
    for number in range(100):
        text = b"%d" % number
        peer.send(text)
        gevent.socket.wait_read(peer.fileno(), timeout=1)
        assert peer.recv(100) == text
    peer.close()
    echoing.get(timeout=1)


def test_bytes_that_come_while_nobody_reads_do_not_spin(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    peer.send(b"a")
    stream.recv_after_wait(10)
    peer.send(b"b")
    gevent.sleep(0.01)
    assert not stream._armed
    assert stream.recv_after_wait(10) == b"b"


def test_the_end_of_the_stream(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    peer.shutdown(socket.SHUT_WR)
    assert stream.recv(10) == b""
    assert stream.recv_nowait(10) == b""


def test_recv_nowait_never_waits(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    assert stream.recv_nowait(10) is None
    peer.send(b"x")
    assert stream.recv_nowait(10) == b"x"


def test_send_all_waits_for_a_slow_reader(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    payload = bytes(range(256)) * 20_000
    sending = gevent.spawn(stream.send_all, payload)
    gevent.sleep(0)
    assert stream.is_waiting
    peer.setblocking(False)
    received = bytearray()
    while len(received) < len(payload):
        try:
            received += peer.recv(1 << 20)
        except BlockingIOError:
            gevent.sleep(0)
    sending.get(timeout=1)
    assert received == payload


def test_what_a_slow_reader_has_not_taken_is_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setblocking(False)
    stream = Stream(ours, get_hub())
    octets = bytes(12_000_000)
    sending = gevent.spawn(stream.send_all, octets)
    gevent.sleep(0)
    assert stream.is_parked(sending)
    assert not stream.is_parked(None)
    left = stream.left_to_take()
    assert 0 < left <= len(octets)
    assert left > stream.unsent
    with gevent.Timeout(10):
        while sending:
            gevent.socket.wait_read(theirs.fileno())
            theirs.recv(1 << 20)
    assert not stream.is_parked(sending)
    assert stream.left_to_take() == 0
    stream.close()
    theirs.close()


def test_a_slow_reader_may_be_left_to_somebody_else(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, _ = pair
    kept: list[int] = []

    def keep(rest: memoryview, send_file: object) -> bool:
        kept.append(len(rest))
        return True

    stream.send_last(b"x" * 100, keep)
    assert not kept
    stream.send_last(b"x" * 4_000_000, keep)
    assert 0 < kept[0] < 4_000_000


def test_send_nowait_says_how_much_went(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    assert stream.send_nowait(b"abc") == 3
    while stream.send_nowait(b"x" * 100_000):
        pass
    assert stream.send_nowait(b"x") == 0


def test_send_file_sends_a_part_of_a_file(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    told: list[int] = []
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        assert stream.send_file(file.fileno(), 2, 5, told.append) == 5
        assert stream.send_file(file.fileno(), 8, 100) == 2
    assert peer.recv(100) == b"2345689"
    assert sum(told) == 5


def test_a_reset_is_a_disconnection(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    peer.close()
    with pytest.raises(Disconnected):
        for _ in range(3):
            stream.send_all(b"x" * 1000)


def test_two_readers_are_a_mistake(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    gevent.spawn(stream.recv, 1)
    gevent.sleep(0)
    with pytest.raises(LocalProtocolError, match="two greenlets"):
        stream.recv(1)


def test_a_wait_can_expire(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    reading = gevent.spawn(stream.recv, 1)
    gevent.sleep(0)
    stream.expire()
    with pytest.raises(PeerTimeout):
        reading.get(timeout=1)
    peer.send(b"x")
    assert stream.recv(1) == b"x"


def test_closing_wakes_who_waits(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    reading = gevent.spawn(stream.recv, 1)
    gevent.sleep(0)
    stream.close()
    with pytest.raises(Disconnected):
        reading.get(timeout=1)
    assert stream.fileno() == -1
    with pytest.raises(Disconnected):
        stream.wait_readable()
    with pytest.raises(Disconnected):
        stream.wait_writable()
    stream.close()


def test_a_timeout_of_the_application_passes_through(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, peer = pair
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.005):
        stream.recv(1)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.005):
        stream.send_all(b"x" * 10_000_000)
    peer.send(b"still usable")
    assert stream.recv(100) == b"still usable"


def test_a_gentle_close_lets_the_peer_read_the_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.setblocking(False)
    stream = Stream(ours, get_hub())
    peer.sendall(b"unread " * 1000)
    stream.send_all(b"answer")
    closing = gevent.spawn(stream.half_close_and_drain, 100_000)
    gevent.sleep(0.005)
    assert peer.recv(100) == b"answer"
    assert peer.recv(100) == b""
    peer.close()
    closing.get(timeout=1)
    assert stream.closed


def test_a_reset_on_close_is_seen_by_the_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    stream = Stream(ours, get_hub())
    stream.reset_on_close()
    stream.close()
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    peer.close()


class Flooded:
    """A socket whose peer sends as fast as anybody reads."""

    def __init__(self, peer: socket.socket) -> None:
        self.fileno = peer.fileno
        self.left = 8 << 20

    def recv(self, size: int) -> bytes:
        taken = min(size, self.left)
        self.left -= taken
        return bytes(taken)

    def send(self, octets: bytes) -> int:
        return len(octets)

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        pass


def test_others_run_while_a_flood_is_drained() -> None:
    with socket.socket() as peer:
        flooded: Any = Flooded(peer)
        draining = gevent.spawn(
            Stream(flooded, get_hub()).half_close_and_drain, 16 << 20
        )
        gevent.sleep(0)
        gevent.sleep(0)
        assert 0 < flooded.left < 8 << 20
        draining.join(timeout=5)
        assert not flooded.left
