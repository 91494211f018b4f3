from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.scgi import decode_vars, find_block

LIMIT = 4096


def netstring(block: bytes) -> bytes:
    return b"%d:%b," % (len(block), block)


def encode(variables: list[tuple[str, str]]) -> bytes:
    return "".join(f"{k}\0{v}\0" for k, v in variables).encode("latin-1")


def request(*more: tuple[str, str], length: str = "3") -> bytes:
    return netstring(encode([("CONTENT_LENGTH", length), ("SCGI", "1"), *more]))


def test_a_request_in_every_split_of_its_bytes() -> None:
    wire = request(("REQUEST_METHOD", "POST"), ("X", "")) + b"abc"
    for cut in range(len(wire)):
        block = find_block(wire[:cut], LIMIT)
        if block is not None:
            start, end = block
            environ: dict[str, object] = {}
            assert decode_vars(wire[start:end], environ) == 3
            assert environ == {
                "CONTENT_LENGTH": "3",
                "REQUEST_METHOD": "POST",
                "X": "",
            }
            assert wire[end : end + 1] == b","


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1",
        b"-1:x,",
        b" 5:hello,",
        b"05:hello,",
        b":,",
        b"12345678",
        b"5:helloX",
        b"+5:hello,",
        b"\xb2:hello,",
    ],
)
def test_what_is_no_netstring(wire: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        find_block(wire, LIMIT)


def test_a_block_over_the_limit_is_431() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        find_block(b"4097:", LIMIT)
    assert caught.value.status == 431


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"CONTENT_LENGTH\x000",
        b"CONTENT_LENGTH\x000\x00",
        b"SCGI\x001\x00CONTENT_LENGTH\x000\x00",
        b"CONTENT_LENGTH\x000\x00SCGI\x002\x00",
        b"CONTENT_LENGTH\x000\x00SCGI\x001\x00CONTENT_LENGTH\x005\x00",
        b"CONTENT_LENGTH\x000\x00SCGI\x001\x00X\x00",
        b"CONTENT_LENGTH\x000\x00SCGI\x001\x00\x00x\x00",
    ],
)
def test_variables_that_are_not_scgis(block: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_vars(block, {})


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(wire: bytes) -> None:
    try:
        block = find_block(wire, LIMIT)
        if block is not None:
            decode_vars(wire[slice(*block)], {})
    except RemoteProtocolError as error:
        assert error.status in (400, 431)
