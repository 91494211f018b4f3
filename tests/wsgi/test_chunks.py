"""Bodies in the pieces that the client made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from geuwsgi.errors import Disconnected, RemoteProtocolError
from geuwsgi.testing.stream import Event, MemoryStream
from geuwsgi.wsgi.chunks import ChunkReader
from geuwsgi.wsgi.input import ChunkedInput

Cut = Callable[[bytes], list[bytes]]
WIRE = b'5\r\nhello\r\n3;x="y"\r\nabc\r\n1\r\n!\r\n0\r\nT: railer\r\n\r\nGET /next'


def reader_of(*events: Event, received: bytes = b"", limit: int = 100) -> ChunkReader:
    stream = MemoryStream(events)
    body = ChunkedInput(
        stream, received, 0, before_first_read=None, extend_deadline=lambda: None
    )
    reader = ChunkReader(body, stream, limit)
    return reader


def test_chunks_in_every_split(cut: Cut) -> None:
    reader = reader_of(*cut(WIRE))
    assert [reader.read() for _ in range(5)] == [b"hello", b"abc", b"!", b"", b""]


def test_what_came_with_the_head_is_read_first() -> None:
    reader = reader_of(WIRE[7:], received=WIRE[:7])
    assert [reader.read() for _ in range(4)] == [b"hello", b"abc", b"!", b""]


def test_the_bytes_behind_the_body_are_left_over() -> None:
    body = ChunkedInput(
        MemoryStream([WIRE]),
        b"",
        0,
        before_first_read=None,
        extend_deadline=lambda: None,
    )
    reader = ChunkReader(body, MemoryStream(), 100)
    while reader.read():
        pass
    assert body.complete
    assert body.leftover == b"GET /next"


def test_nothing_there_is_none() -> None:
    reader = reader_of(None, WIRE[:6], None, None, WIRE[6:])
    seen = []
    while (chunk := reader.read_nowait()) != b"":
        seen.append(chunk)
    assert seen == [None, None, None, b"hello", b"abc", b"!"]


def test_the_client_is_told_to_go_on_before_anything_is_read() -> None:
    told: list[bool] = []
    stream = MemoryStream([None, WIRE])
    body = ChunkedInput(
        stream,
        b"",
        0,
        before_first_read=lambda: told.append(True),
        extend_deadline=lambda: None,
    )
    reader = ChunkReader(body, stream, 100)
    assert reader.read_nowait() is None
    assert told == [True]
    assert reader.read() == b"hello"
    assert told == [True]


@pytest.mark.parametrize(
    "wire",
    [b"xyz\r\n", b"-1\r\n", b"5\r\nhelloworld\r\n", b"5\nhello\r\n", b"1" * 5000],
)
def test_what_is_malformed_is_refused(wire: bytes, cut: Cut) -> None:
    for nowait in (False, True):
        reader = reader_of(*cut(wire))
        with pytest.raises(RemoteProtocolError):
            while True:
                reader.read_nowait() if nowait else reader.read()


def test_a_chunk_beyond_the_limit_is_refused_by_its_size() -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        reader_of(b"65\r\n", limit=100).read()
    assert raised.value.status == 413


def test_a_client_that_goes_is_told() -> None:
    for read in (reader_of(WIRE[:6]).read, reader_of(WIRE[:6]).read_nowait):
        with pytest.raises(Disconnected):
            read()
