"""What the stream in memory and the real one have in common, and what only one has."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator

import gevent
import pytest

from geuwsgi.errors import Disconnected
from geuwsgi.net.stream import Stream
from geuwsgi.testing.stream import MemoryStream

AnyStream = Stream | MemoryStream
# A stream whose peer sends these bytes and closes; and what the peer got.
Pair = tuple[AnyStream, Callable[[], bytes]]
Make = Callable[[bytes], Pair]


def in_memory(octets: bytes) -> Pair:
    stream = MemoryStream([octets] if octets else [])
    return stream, lambda: bytes(stream.sent)


@pytest.fixture(params=["memory", "socket"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    if request.param == "memory":
        yield in_memory
        return
    ends = []

    def on_a_socket(octets: bytes) -> Pair:
        ours, theirs = socket.socketpair()
        ends.append(theirs)
        theirs.sendall(octets)
        theirs.shutdown(socket.SHUT_WR)
        ours.setblocking(False)
        stream = Stream(
            socket.socket(fileno=ours.detach()),
            gevent.get_hub(),
        )
        stream.socket.setblocking(False)

        def received() -> bytes:
            theirs.setblocking(False)
            try:
                return theirs.recv(65536)
            except BlockingIOError:
                return b""

        return stream, received

    yield on_a_socket
    for end in ends:
        end.close()


def test_bytes_come_in_order_and_never_more_than_asked_for(make: Make) -> None:
    stream, _ = make(b"abcdef")
    assert stream.recv(4) == b"abcd"
    assert stream.recv_nowait(4) == b"ef"
    assert stream.recv(4) == stream.recv_nowait(4) == b""
    stream.close()


def test_all_is_sent(make: Make) -> None:
    stream, received = make(b"")
    stream.send_all(b"ab")
    stream.send_all(memoryview(b"cd"))
    assert stream.send_nowait(b"ef") == 2
    assert received() == b"abcdef"
    stream.close()


def test_a_part_of_a_file_is_sent(make: Make) -> None:
    stream, received = make(b"")
    told: list[int] = []
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        assert stream.send_file(file.fileno(), 2, 4, told.append) == 4
        assert stream.send_file(file.fileno(), 8, 4, told.append) == 2
    assert received() == b"234589"
    assert told == [4, 2]
    stream.close()


def test_a_closed_stream_cannot_be_used(make: Make) -> None:
    stream, _ = make(b"abc")
    stream.close()
    stream.close()
    assert stream.closed
    assert stream.fileno() == -1
    with pytest.raises(Disconnected):
        stream.recv(1)
    with pytest.raises(Disconnected):
        stream.send_all(b"x")


def test_a_half_closed_stream_is_drained_and_closed(make: Make) -> None:
    stream, received = make(b"left over")
    stream.send_all(b"answer")
    stream.half_close_and_drain(1000)
    assert stream.closed
    assert received() == b"answer"


def test_the_pieces_are_those_of_the_test() -> None:
    stream = MemoryStream([b"ab", None, b"c", Disconnected("gone")])
    assert stream.recv_nowait(9) == b"ab"
    assert stream.recv_nowait(9) is None
    assert stream.recv(9) == b"c"
    with pytest.raises(Disconnected, match="gone"):
        stream.recv(9)


def test_what_has_not_arrived_is_waited_out() -> None:
    stream = MemoryStream([None, None, b"a"])
    assert stream.recv(9) == b"a"
    stream.arrive(b"b")
    assert stream.recv(9) == b"b"


def test_a_peer_that_goes_away_keeps_what_it_got() -> None:
    stream = MemoryStream(gone_after=4)
    stream.send_all(b"abc")
    with pytest.raises(Disconnected, match="reset"):
        stream.send_all(b"def")
    assert stream.sent == b"abcd"
