from __future__ import annotations

import io

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.cache_peers import (
    Change,
    DumpShape,
    decode_change,
    encode_change,
    encode_dump,
    encode_dump_request,
    read_dump,
)

SHAPE = DumpShape(items=8, blocksize=64, keysize=32, blocks=8)
BITMAP = DumpShape(items=8, blocksize=4, keysize=32, blocks=16, bitmap=True)


def test_changes_look_like_those_that_uwsgi_heeds() -> None:
    change = Change(b"alpha", b"VALUE-A", 1795649266)
    octets = b"o\x1c\x00\n\x05\x00alpha\x07\x00VALUE-A\n\x001795649266"
    assert encode_change(change) == octets
    assert decode_change(octets) == change
    assert encode_change(Change(b"alpha")) == b"o\x0a\0\x0b\5\0alpha\1\x000"
    assert decode_change(encode_change(Change(b"alpha"))) == Change(b"alpha")
    assert decode_change(b"o\x07\x00\x0b\x05\x00alpha") == Change(b"alpha")


def test_a_value_that_no_datagram_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="65535"):
        encode_change(Change(b"key", b"x" * 65536))


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"o\1",
        b"\0\7\0\x0b\5\0alpha",
        b"o\x08\0\x0b\5\0alpha",
        b"o\7\0\x0a\5\0alpha",
        b"o\7\0\x0b\6\0alpha",
        b"o\x0b\0\x0a\1\0a\1\0b\3\0-12",
        b"o\7\0\x01\5\0alpha",
    ],
)
def test_a_datagram_of_something_else_is_refused(datagram: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_change(datagram)


@pytest.mark.parametrize("shape", [SHAPE, BITMAP])
def test_a_dump_is_read_as_it_was_written(shape: DumpShape) -> None:
    entries = [(b"a", b"1", 0), (b"b" * 32, b"22222" * 2, 99), (b"c", b"x" * 4, 0)]
    octets = b"".join(encode_dump(shape, entries))
    assert sorted(read_dump(shape, io.BytesIO(octets).read)) == sorted(entries)
    assert octets.startswith(b"o\x19\0\7" if shape is SHAPE else b"o\x18\0\7")
    header = 4 + octets[1]
    assert len(octets) == header + shape.items * 120 + shape.blocks * shape.blocksize


def test_a_dump_leaves_out_what_does_not_fit() -> None:
    entries = [(b"%d" % number, b"v", 0) for number in range(20)]
    entries[:0] = [(b"k" * 33, b"v", 0), (b"long", b"v" * 65, 0)]
    octets = b"".join(encode_dump(SHAPE, entries))
    found = list(read_dump(SHAPE, io.BytesIO(octets).read))
    assert found == entries[2:9]


def test_a_dump_of_other_sizes_is_refused() -> None:
    octets = b"".join(encode_dump(SHAPE, []))
    with pytest.raises(RemoteProtocolError, match="8 items of 64 bytes, not 8 of 4"):
        list(read_dump(BITMAP, io.BytesIO(octets).read))


@pytest.mark.parametrize("end", [3, 20, 100, 1000, -1])
def test_a_dump_that_ends_too_early_is_refused(end: int) -> None:
    entries = [(b"%d" % number, b"v" * 64, 0) for number in range(7)]
    octets = b"".join(encode_dump(SHAPE, entries))
    with pytest.raises(RemoteProtocolError, match="too early"):
        list(read_dump(SHAPE, io.BytesIO(octets[:end]).read))


def test_a_dump_that_puts_values_outside_is_refused() -> None:
    octets = b"".join(encode_dump(SHAPE, [(b"key", b"value", 0)]))
    record = 4 + octets[1] + 120
    wrong = bytearray(octets)
    wrong[record + 32 : record + 40] = (1 << 60).to_bytes(8, "little")
    with pytest.raises(RemoteProtocolError, match="nowhere"):
        list(read_dump(SHAPE, io.BytesIO(wrong).read))


def test_an_answer_of_something_else_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="begins"):
        list(read_dump(SHAPE, io.BytesIO(b"HTTP/1.1 200 OK").read))
    assert encode_dump_request("x") == b"o\1\0\6x"
