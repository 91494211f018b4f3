from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import Disconnected, RemoteProtocolError
from geuwsgi.protocol.chunked import LAST_CHUNK, encode_chunk
from geuwsgi.wsgi.input import BodyInput, ChunkedInput, EmptyInput, LengthInput

TEXT = b"first line\nsecond\n\nlast without end"


class Pieces:
    """A stream that delivers given pieces, then ends or fails."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self.pieces = list(pieces)
        self.error = error
        self.reads = 0

    def recv(self, size: int) -> bytes:
        self.reads += 1
        if not self.pieces:
            if self.error is not None:
                raise self.error
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > size:
            self.pieces.insert(0, piece[size:])
        return piece[:size]

    def fileno(self) -> int:
        return 7


def by_length(
    body: bytes, pieces: list[bytes], rest: bytes = b"", **more: object
) -> BodyInput:
    return LengthInput(
        Pieces(pieces),
        len(body),
        rest,
        before_first_read=None,
        extend_deadline=lambda: None,
    )


def chunked(body: bytes, size: int, limit: int = 0) -> BodyInput:
    chunks = [encode_chunk(body[i : i + size]) for i in range(0, len(body), size)]
    wire = b"".join([*chunks, LAST_CHUNK])
    pieces = [wire[i : i + 7] for i in range(0, len(wire), 7)]
    return ChunkedInput(
        Pieces(pieces[1:]),
        pieces[0],
        limit,
        before_first_read=None,
        extend_deadline=lambda: None,
    )


@pytest.fixture(params=["length", "pieces", "chunked"])
def body(request: pytest.FixtureRequest) -> BodyInput:
    if request.param == "length":
        return by_length(TEXT, [], TEXT)
    if request.param == "pieces":
        return by_length(
            TEXT, [TEXT[i : i + 3] for i in range(4, len(TEXT), 3)], TEXT[:4]
        )
    return chunked(TEXT, 5)


def test_read_returns_everything_then_nothing(body: BodyInput) -> None:
    assert body.read() == TEXT
    assert body.read() == b""
    assert body.read(10) == b""
    assert body.tell() == len(TEXT)
    assert body.complete


def test_read_returns_as_much_as_was_asked_for(body: BodyInput) -> None:
    assert body.read(5) == TEXT[:5]
    assert body.read(0) == b""
    assert body.read(7) == TEXT[5:12]
    assert body.tell() == 12
    assert body.read(None) == TEXT[12:]


def test_read1_returns_at_most_what_was_asked_for(body: BodyInput) -> None:
    together = b""
    while piece := body.read1(4):
        assert len(piece) <= 4
        together += piece
    assert together == TEXT


def test_lines(body: BodyInput) -> None:
    assert body.readline() == b"first line\n"
    assert body.readline(3) == b"sec"
    assert body.readline(100) == b"ond\n"
    assert body.readline(0) == b""
    assert body.readlines() == [b"\n", b"last without end"]
    assert body.readline() == b""


def test_iteration(body: BodyInput) -> None:
    assert list(body) == TEXT.splitlines(keepends=True)


def test_next(body: BodyInput) -> None:
    assert next(body) == b"first line\n"
    body.read()
    with pytest.raises(StopIteration):
        next(body)


def test_readlines_stops_after_the_hint(body: BodyInput) -> None:
    assert body.readlines(12) == [b"first line\n", b"second\n"]
    assert body.readlines(None) == [b"\n", b"last without end"]


def test_what_was_not_read_can_be_discarded(body: BodyInput) -> None:
    body.read(2)
    assert body.discard(1000)
    assert body.complete
    assert body.read() == b""


def test_a_text_wrapper_can_stand_on_it(body: BodyInput) -> None:
    lines = [line.decode() for line in iter(body.readline, b"")]
    assert lines == io.StringIO(TEXT.decode()).readlines()


_CALLS: dict[str, Callable[[BodyInput | io.BytesIO, int], object]] = {
    "read": lambda f, n: f.read(n),
    "readline": lambda f, n: f.readline(n),
    "read all": lambda f, n: f.read(),
    "line": lambda f, n: f.readline(),
}


@given(
    st.binary(max_size=120).map(lambda b: b.replace(b"\x00", b"\n")),
    st.lists(st.tuples(st.sampled_from(sorted(_CALLS)), st.integers(-1, 40))),
    st.integers(1, 30),
)
def test_it_reads_like_a_file(
    text: bytes, calls: list[tuple[str, int]], size: int
) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    for body in (by_length(text, pieces), chunked(text, size)):
        model = io.BytesIO(text)
        for name, number in calls:
            assert _CALLS[name](body, number) == _CALLS[name](model, number)


def test_nothing_is_read_past_the_end() -> None:
    body = by_length(b"12345", [b"345", b"GET / HTTP"], b"12")
    assert body.read() == b"12345"
    assert body.leftover == b""
    body = by_length(b"12345", [], b"12345GET /")
    assert body.complete
    assert body.leftover == b"GET /"
    body = ChunkedInput(
        Pieces([b"3\r\nabc\r\n0\r\n\r\nGET /"]),
        b"",
        0,
        before_first_read=None,
        extend_deadline=lambda: None,
    )
    assert body.read() == b"abc"
    assert body.leftover == b"GET /"


def test_a_client_that_goes_away_is_an_os_error_and_nobodys_fault() -> None:
    for source in (Pieces([b"12"]), Pieces([b"12"], Disconnected("reset by peer"))):
        body = LengthInput(
            source, 5, b"", before_first_read=None, extend_deadline=lambda: None
        )
        with pytest.raises(OSError, match=r"body") as caught:
            body.read()
        assert isinstance(caught.value, Disconnected)


def test_continue_is_asked_for_once_and_only_when_reading() -> None:
    asked: list[str] = []
    body = LengthInput(
        Pieces([b"123", b"45"]),
        5,
        b"",
        before_first_read=lambda: asked.append("continue"),
        extend_deadline=lambda: asked.append("deadline"),
    )
    assert asked == []
    assert body.read() == b"12345"
    assert asked == ["continue", "deadline", "deadline"]


def test_a_chunked_body_over_the_limit_is_refused() -> None:
    assert chunked(TEXT, 9, limit=len(TEXT)).read() == TEXT
    with pytest.raises(RemoteProtocolError) as caught:
        chunked(TEXT, 9, limit=len(TEXT) - 1).read()
    assert caught.value.status == 413


def test_discarding_gives_up_at_the_limit() -> None:
    assert not chunked(b"x" * 1000, 100).discard(500)


def test_an_empty_body_is_an_empty_file() -> None:
    body = EmptyInput()
    assert body.read() == body.read(5) == body.readline() == b""
    assert body.readlines() == list(body) == []
    assert body.tell() == 0
    body.close()


def test_filling_stops_where_it_was_told_to() -> None:
    source = Pieces([b"ab", b"cdef", b"gh"])
    body = LengthInput(
        source, 10, b"01", before_first_read=None, extend_deadline=lambda: None
    )
    body.fill(6)
    assert body.remaining == 4
    assert not body.complete
    assert body.read(6) == b"01abcd"
    body.fill(100)
    assert body.complete
    assert body.read() == b"efgh"


def chunked_from(source: Pieces) -> ChunkedInput:
    return ChunkedInput(
        source, b"", 0, before_first_read=None, extend_deadline=lambda: None
    )


def test_the_chunks_of_a_filled_body_are_still_there() -> None:
    source = Pieces([b"2\r\nab\r\n", b"3\r\ncde\r\n", b"0\r\n\r\n"])
    body = chunked_from(source)
    body.fill(8)
    assert len(source.pieces) == 1
    decoder, pending = body.hand_over()
    assert decoder.feed(pending) == b"abcde"
    source = Pieces([b"2\r\nab\r\n", b"zzz\r\n", b"more"])
    body = chunked_from(source)
    body.fill(1000)
    with pytest.raises(RemoteProtocolError):
        body.read()


def test_after_a_wait_somebody_is_called() -> None:
    body = by_length(b"abcdef", [b"ab", b"cd", b"ef"])
    calls: list[int] = []
    body.after_wait = lambda: calls.append(body.arrived)
    assert body.read() == b"abcdef"
    assert calls == [2, 4, 6]


def test_what_was_waited_for_is_counted() -> None:
    source = Pieces([b"abc", b"de"])
    body = LengthInput(
        source, 7, b"01", before_first_read=None, extend_deadline=lambda: None
    )
    body.read(3)
    assert body.arrived == 3
    body.read()
    assert body.arrived == 5


def test_a_line_of_many_pieces() -> None:
    body = LengthInput(
        Pieces([b"b" * 1000, b"c\nd"]),
        1005,
        b"aa",
        before_first_read=None,
        extend_deadline=lambda: None,
    )
    assert body.readline() == b"aa" + b"b" * 1000 + b"c\n"
    assert body.tell() == 1004
    assert body.readline() == b"d"
