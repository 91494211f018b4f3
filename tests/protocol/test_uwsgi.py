from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.uwsgi import (
    decode_array,
    decode_header,
    decode_vars,
    encode_array,
    encode_packet,
    encode_vars,
)

_NAMES = st.binary(min_size=1, max_size=300)
_VALUES = st.binary(max_size=300)


@given(st.dictionaries(_NAMES, _VALUES, max_size=20))
def test_variables_come_back_as_latin_1(variables: dict[bytes, bytes]) -> None:
    environ: dict[str, object] = {}
    assert decode_vars(encode_vars(variables), environ) == len(variables)
    assert environ == {
        key.decode("latin-1"): value.decode("latin-1")
        for key, value in variables.items()
    }


@given(st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=5), st.data())
def test_a_block_cut_short_is_refused(
    variables: dict[bytes, bytes], data: st.DataObject
) -> None:
    block = encode_vars(variables)
    boundaries = {0}
    end = 0
    for key, value in variables.items():
        end += 4 + len(key) + len(value)
        boundaries.add(end)
    cut = data.draw(st.integers(0, len(block)))
    if cut in boundaries:
        assert decode_vars(block[:cut], {}) >= 0
    else:
        with pytest.raises(RemoteProtocolError):
            decode_vars(block[:cut], {})


@given(st.binary(max_size=60))
def test_any_block_is_decoded_or_refused(block: bytes) -> None:
    environ: dict[str, object] = {}
    try:
        count = decode_vars(block, environ)
    except RemoteProtocolError:
        return
    assert len(environ) <= count


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="empty key"):
        decode_vars(encode_vars({b"": b"x", b"A": b"b"}), {})


def test_lying_lengths_are_refused() -> None:
    for block in (
        b"\xff\xffA\x01\x00b",
        b"\x01\x00A\xff\xffb",
        b"\x01\x00A",
        b"\x01",
        b"\x01\x00A\x01\x00b\x00",
    ):
        with pytest.raises(RemoteProtocolError):
            decode_vars(block, {})


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_arrays_come_back(items: list[bytes]) -> None:
    assert decode_array(encode_array(items)) == items


def test_a_cut_array_is_refused() -> None:
    block = encode_array([b"name", b"argument"])
    for cut in range(1, len(block)):
        if cut != 6:
            with pytest.raises(RemoteProtocolError):
                decode_array(block[:cut])


@given(st.integers(0, 255), st.binary(max_size=300), st.integers(0, 255))
def test_packets_have_little_endian_headers(
    modifier1: int, block: bytes, modifier2: int
) -> None:
    packet = encode_packet(modifier1, block, modifier2)
    assert packet[:4] == struct.pack("<BHB", modifier1, len(block), modifier2)
    assert decode_header(packet) == (modifier1, len(block), modifier2)


def test_a_block_longer_than_its_length_field_is_an_error() -> None:
    with pytest.raises(ValueError, match="65536"):
        encode_packet(0, b"x" * 65536)
