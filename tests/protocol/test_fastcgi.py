from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import fastcgi


@given(
    st.integers(0, 255),
    st.integers(0, 65535),
    st.binary(max_size=300),
    st.binary(max_size=20),
)
def test_records_come_back(
    kind: int, request_id: int, content: bytes, rest: bytes
) -> None:
    wire = fastcgi.encode_record(kind, request_id, content)
    for cut in range(len(wire)):
        assert fastcgi.decode_record(wire[:cut]) is None
    record = fastcgi.decode_record(b"xx" + wire + rest, 2)
    assert record == (kind, request_id, content, 2 + len(wire))


def test_padding_is_skipped() -> None:
    wire = bytes([1, 4, 0, 1, 0, 3, 5, 0]) + b"abc" + bytes(5) + b"next"
    record = fastcgi.decode_record(wire)
    assert record == (4, 1, b"abc", len(wire) - 4)


def test_other_versions_are_refused_at_their_first_byte() -> None:
    for wire in (b"G", b"\x02", b"GET / HTTP/1.1\r\n"):
        with pytest.raises(RemoteProtocolError, match="version"):
            fastcgi.decode_record(wire)


@given(st.dictionaries(st.binary(min_size=1, max_size=200), st.binary(max_size=300)))
def test_pairs_come_back(pairs: dict[bytes, bytes]) -> None:
    block = b"".join(fastcgi.encode_pair(k, v) for k, v in pairs.items())
    environ: dict[str, object] = {}
    assert fastcgi.decode_pairs(block, environ) == len(pairs)
    assert environ == {
        k.decode("latin-1"): v.decode("latin-1") for k, v in pairs.items()
    }


@pytest.mark.parametrize(
    "block",
    [
        b"\x01",
        b"\x01\x01a",
        b"\x00\x01a",
        b"\x80\x00\x00",
        b"\xff\xff\xff\xff\x00",
        b"\x01\x80\x00\x00\x05abc",
    ],
)
def test_lying_lengths_are_refused(block: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        fastcgi.decode_pairs(block, {})


@given(st.binary(max_size=60))
def test_any_block_is_decoded_or_refused(block: bytes) -> None:
    environ: dict[str, object] = {}
    try:
        count = fastcgi.decode_pairs(block, environ)
    except RemoteProtocolError:
        return
    assert len(environ) <= count


def test_a_long_stream_is_several_records() -> None:
    octets = bytes(range(256)) * 1000
    wire = fastcgi.encode_stream(fastcgi.STDOUT, 7, octets)
    together = b""
    position = 0
    while position < len(wire):
        record = fastcgi.decode_record(wire, position)
        assert record is not None
        assert record.kind == fastcgi.STDOUT
        together += record.content
        position = record.end
    assert together == octets


def test_the_begin_of_a_request() -> None:
    assert fastcgi.decode_begin(b"\0\x01\x01" + bytes(5)) == (
        fastcgi.RESPONDER,
        fastcgi.KEEP_CONNECTION,
    )
    with pytest.raises(RemoteProtocolError):
        fastcgi.decode_begin(b"\0\x01\x01")
