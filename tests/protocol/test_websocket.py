"""The frame and message rules of RFC 6455, in every split of the bytes."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable

import pytest

from geuwsgi.errors import LocalProtocolError, RemoteProtocolError
from geuwsgi.protocol.websocket import (
    BINARY,
    CLOSE,
    NEED_DATA,
    NO_STATUS_RECEIVED,
    PING,
    PONG,
    TEXT,
    MessageDecoder,
    WebSocketProtocolError,
    encode_close,
    encode_frame,
)
from tests.protocol.websocket_frames import client_frame

Cut = Callable[[bytes], list[bytes]]
Got = list[tuple[int, bytes]]


def decode(decoder: MessageDecoder, pieces: list[bytes]) -> Got:
    got = []
    for piece in pieces:
        decoder.feed(piece)
        while (kind := decoder.next()) != NEED_DATA:
            got.append((kind, decoder.payload))
    return got


def refusal(wire: bytes, cut: Cut, max_size: int = 1 << 20) -> WebSocketProtocolError:
    decoder = MessageDecoder(max_size)
    with pytest.raises(WebSocketProtocolError) as raised:
        decode(decoder, cut(wire))
    decoder.feed(client_frame(TEXT, b"more"))
    assert decoder.next() == NEED_DATA, "a failed decoder must drop all input"
    return raised.value


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 125, 126, 127, 2047, 2048, 65535])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_in_one_frame(size: int, opcode: int, cut: Cut) -> None:
    payload = b"abcdefg" * (size // 7) + b"x" * (size % 7)
    got = decode(MessageDecoder(65536), cut(client_frame(opcode, payload)))
    assert got == [(opcode, payload)]


def test_a_length_of_64_bits() -> None:
    payload = os.urandom(70_001)
    wire = client_frame(BINARY, payload)
    assert decode(MessageDecoder(1 << 20), [wire]) == [(BINARY, payload)]
    assert decode(MessageDecoder(1 << 20), [wire[:40_000], wire[40_000:]]) == [
        (BINARY, payload)
    ]


def test_several_frames_in_one_piece_and_across_pieces(cut: Cut) -> None:
    wire = b"".join(client_frame(TEXT, b"m%d" % n) for n in range(50))
    assert decode(MessageDecoder(100), cut(wire)) == [
        (TEXT, b"m%d" % n) for n in range(50)
    ]


def test_a_fragmented_message_is_given_once_and_whole(cut: Cut) -> None:
    wire = (
        client_frame(TEXT, "grü".encode(), fin=False)
        + client_frame(0, b"", fin=False)
        + client_frame(0, "ß ".encode(), fin=False)
        + client_frame(0, b"Gott")
        + client_frame(BINARY, b"next")
    )
    assert decode(MessageDecoder(100), cut(wire)) == [
        (TEXT, "grüß Gott".encode()),
        (BINARY, b"next"),
    ]


@pytest.mark.parametrize(
    "fragments",
    [[b"", b"", b""], [b"", b"ab"], [b"ab", b""], [b"", b"ab", b""]],
    ids=["all empty", "empty first", "empty last", "empty around"],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_empty_fragments(fragments: list[bytes], opcode: int, cut: Cut) -> None:
    wire = b""
    for n, fragment in enumerate(fragments):
        fin = n == len(fragments) - 1
        wire += client_frame(0 if n else opcode, fragment, fin=fin)
    decoder = MessageDecoder(10)
    assert decode(decoder, cut(client_frame(BINARY, b"before") + wire)) == [
        (BINARY, b"before"),
        (opcode, b"".join(fragments)),
    ]


def test_control_frames_between_the_fragments(cut: Cut) -> None:
    wire = (
        client_frame(TEXT, b"a", fin=False)
        + client_frame(PING, b"are you there")
        + client_frame(0, b"b", fin=False)
        + client_frame(PONG)
        + client_frame(0, b"c")
        + client_frame(CLOSE, b"\x03\xe8bye")
    )
    decoder = MessageDecoder(10)
    assert decode(decoder, cut(wire)) == [
        (PING, b"are you there"),
        (PONG, b""),
        (TEXT, b"abc"),
        (CLOSE, b"\x03\xe8bye"),
    ]
    assert (decoder.close_code, decoder.close_reason) == (1000, "bye")


def test_two_decoders_whose_fragments_interleave_do_not_mix() -> None:
    one, two = MessageDecoder(100), MessageDecoder(100)
    assert decode(one, [client_frame(TEXT, b"one-", fin=False)]) == []
    assert decode(two, [client_frame(BINARY, b"two-", fin=False)]) == []
    assert decode(one, [client_frame(0, b"end")]) == [(TEXT, b"one-end")]
    assert decode(two, [client_frame(0, b"end")]) == [(BINARY, b"two-end")]


def test_a_close_without_a_code_is_1005() -> None:
    decoder = MessageDecoder(10)
    assert decode(decoder, [client_frame(CLOSE)]) == [(CLOSE, b"")]
    assert decoder.close_code == NO_STATUS_RECEIVED


def test_what_follows_a_close_frame_is_dropped(cut: Cut) -> None:
    wire = client_frame(CLOSE, b"\x03\xe8") + client_frame(TEXT, b"late") + b"\xff\xff"
    assert decode(MessageDecoder(10), cut(wire)) == [(CLOSE, b"\x03\xe8")]


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_close_codes_that_may_be_sent(code: int) -> None:
    decoder = MessageDecoder(10)
    decode(decoder, [client_frame(CLOSE, code.to_bytes(2, "big"))])
    assert decoder.close_code == code


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_close_codes_that_may_not_be_sent(code: int, cut: Cut) -> None:
    wire = client_frame(CLOSE, code.to_bytes(2, "big"))
    assert refusal(wire, cut).close_code == 1002
    with pytest.raises(LocalProtocolError):
        encode_close(code, "because")


BROKEN = {
    "an unmasked frame": client_frame(TEXT, b"abcdef", mask=None),
    "an unmasked empty frame": client_frame(TEXT, mask=None),
    "an unmasked control frame": client_frame(PING, b"abcdef", mask=None),
    "RSV1 without an extension": client_frame(TEXT, b"abc", rsv=4),
    "RSV2": client_frame(TEXT, b"abc", rsv=2),
    "RSV3": client_frame(BINARY, b"abc", rsv=1),
    "RSV1 in a control frame": client_frame(PING, b"abc", rsv=4),
    "RSV2 in a control frame": client_frame(PONG, b"abc", rsv=2),
    "opcode 3": client_frame(3, b"abc"),
    "opcode 7": client_frame(7, b"abc"),
    "opcode 11": client_frame(11, b"abc"),
    "opcode 15": client_frame(15, b"abc"),
    "a fragmented ping": client_frame(PING, b"abc", fin=False),
    "a fragmented close": client_frame(CLOSE, b"\x03\xe8", fin=False),
    "a ping of 126 bytes": client_frame(PING, b"x" * 126),
    "a close of 126 bytes": client_frame(CLOSE, b"\x03\xe8" + b"x" * 124),
    "a ping with a length of 64 bits": client_frame(PING, b"x" * 9, length_size=8),
    "half a close code": client_frame(CLOSE, b"\x03"),
    "a continuation of nothing": client_frame(0, b"abc"),
    "an unfinished continuation of nothing": client_frame(0, b"abc", fin=False),
    "a message inside a message": (
        client_frame(TEXT, b"a", fin=False) + client_frame(TEXT, b"b")
    ),
    "a binary message inside a text": (
        client_frame(TEXT, b"a", fin=False) + client_frame(BINARY, b"b")
    ),
    "RSV1 in a continuation": (
        client_frame(TEXT, b"a", fin=False) + client_frame(0, b"b", rsv=4)
    ),
    "a short length in 16 bits": client_frame(TEXT, b"x" * 125, length_size=2),
    "a short length in 64 bits": client_frame(TEXT, b"x" * 125, length_size=8),
    "a 16 bit length in 64 bits": client_frame(TEXT, b"x" * 300, length_size=8),
    "a negative length": client_frame(TEXT, length=1 << 63),
}


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN.keys())
def test_broken_frames_are_a_protocol_error(wire: bytes, cut: Cut) -> None:
    assert refusal(wire, cut).close_code == 1002


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN.keys())
def test_what_came_before_a_broken_frame_is_given(wire: bytes) -> None:
    decoder = MessageDecoder(100)
    decoder.feed(client_frame(TEXT, b"good") + wire)
    assert (decoder.next(), decoder.payload) == (TEXT, b"good")
    with pytest.raises(RemoteProtocolError):
        while decoder.next():
            pass


BAD_TEXT = {
    "a lone continuation byte": b"\x80",
    "an overlong slash": b"\xc0\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "an unfinished character": b"ab\xe2\x82",
    "FE": b"\xfe",
    "late": b"a" * 200 + b"\xff",
}


@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT.keys())
def test_text_that_is_not_utf8_is_1007(text: bytes, cut: Cut) -> None:
    assert refusal(client_frame(TEXT, text), cut).close_code == 1007
    fragments = b"".join(
        client_frame(0 if n else TEXT, text[n : n + 1], fin=n == len(text) - 1)
        for n in range(len(text))
    )
    assert refusal(fragments, cut).close_code == 1007
    assert refusal(client_frame(CLOSE, b"\x03\xe8" + text[-9:]), cut).close_code == 1007


@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT.keys())
def test_binary_may_hold_what_text_may_not(text: bytes, cut: Cut) -> None:
    assert decode(MessageDecoder(999), cut(client_frame(BINARY, text))) == [
        (BINARY, text)
    ]


def test_characters_may_be_cut_anywhere(cut: Cut) -> None:
    text = "κόσμε € 😀 \U0010ffff".encode()
    for size in range(1, 6):
        parts = [text[n : n + size] for n in range(0, len(text), size)]
        wire = b"".join(
            client_frame(0 if n else TEXT, part, fin=n == len(parts) - 1)
            for n, part in enumerate(parts)
        )
        assert decode(MessageDecoder(999), cut(wire)) == [(TEXT, text)]


@pytest.mark.parametrize(
    ("start", "bad"), [(b"\xce", b"\xff"), (b"\xf4", b"\x90"), (b"\xed", b"\xa0")]
)
def test_bad_text_is_refused_before_its_frame_ends(start: bytes, bad: bytes) -> None:
    wire = client_frame(TEXT, start + bad, length=1000)
    decoder = MessageDecoder(1000)
    decoder.feed(wire[:-1])
    assert decoder.next() == NEED_DATA
    decoder.feed(wire[-1:])
    with pytest.raises(WebSocketProtocolError):
        decoder.next()


@pytest.mark.parametrize("size", [101, 125, 126, 65535, 65536, (1 << 63) - 1])
def test_a_frame_too_big_is_refused_from_its_header_alone(size: int) -> None:
    header = client_frame(TEXT, length=size)[:-4]
    decoder = MessageDecoder(100)
    decoder.feed(header)
    with pytest.raises(WebSocketProtocolError) as raised:
        decoder.next()
    assert raised.value.close_code == 1009


def test_a_short_frame_too_big_is_refused_when_it_is_there_whole() -> None:
    decoder = MessageDecoder(10)
    decoder.feed(client_frame(BINARY, b"x" * 11))
    with pytest.raises(WebSocketProtocolError) as raised:
        decoder.next()
    assert raised.value.close_code == 1009


def test_fragments_that_grow_too_big_together_are_refused(cut: Cut) -> None:
    wire = client_frame(TEXT, b"x" * 60, fin=False) + client_frame(0, b"x" * 41)
    assert refusal(wire, cut, max_size=100).close_code == 1009


def test_the_limit_itself_is_allowed(cut: Cut) -> None:
    wire = client_frame(TEXT, b"x" * 60, fin=False) + client_frame(0, b"x" * 40)
    assert decode(MessageDecoder(100), cut(wire)) == [(TEXT, b"x" * 100)]
    assert decode(MessageDecoder(100), cut(client_frame(TEXT, b"x" * 100)))


def test_the_limit_counts_each_message_anew(cut: Cut) -> None:
    wire = client_frame(TEXT, b"x" * 80) * 3 + client_frame(TEXT, b"", fin=False)
    wire += client_frame(0, b"x" * 80) + client_frame(TEXT, b"x" * 80)
    assert len(decode(MessageDecoder(100), cut(wire))) == 5


def test_an_idle_decoder_keeps_nothing() -> None:
    decoder = MessageDecoder(1 << 20)
    wire = client_frame(BINARY, bytes(500_000))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert decode(decoder, [wire[:1000], wire[1000:]])[0][0] == BINARY
        decoder.payload = b""
        assert tracemalloc.get_traced_memory()[0] - before < 1000
    finally:
        tracemalloc.stop()


def test_a_message_in_tiny_pieces_needs_no_more_memory_than_its_bytes() -> None:
    decoder = MessageDecoder(1 << 20)
    wire = client_frame(BINARY, bytes(100_000))
    tracemalloc.start()
    try:
        for n in range(0, len(wire) - 2, 2):
            decoder.feed(wire[n : n + 2])
            assert decoder.next() == NEED_DATA
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()


def test_unread_bytes_can_be_taken_back() -> None:
    first, second = client_frame(TEXT, b"first"), client_frame(TEXT, b"second")
    decoder = MessageDecoder(100)
    decoder.feed(first[:3])
    assert decoder.next() == NEED_DATA
    decoder.feed(first[3:] + second[:5])
    assert decoder.next() == TEXT
    assert decoder.take_unread() == second[:5]
    assert decoder.take_unread() == b""
    decoder.feed(second)
    assert (decoder.next(), decoder.payload) == (TEXT, b"second")


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_head_of_an_encoded_frame(size: int, head: bytes) -> None:
    assert encode_frame(TEXT, b"x" * size) == head + b"x" * size


def test_encoded_opcodes_and_the_compression_bit() -> None:
    assert encode_frame(BINARY, b"a") == b"\x82\x01a"
    assert encode_frame(PING, b"a") == b"\x89\x01a"
    assert encode_frame(TEXT, b"a", compressed=True) == b"\xc1\x01a"
    assert encode_frame(BINARY, b"x" * 200, compressed=True)[:2] == b"\xc2\x7e"


def test_encoded_close_frames() -> None:
    assert encode_close() == b"\x88\x02\x03\xe8"
    assert encode_close(1012, "früh") == b"\x88\x07\x03\xf4fr\xc3\xbch"
    assert encode_close(NO_STATUS_RECEIVED) == b"\x88\x00"
    assert len(encode_close(1001, "x" * 123)) == 127
    with pytest.raises(LocalProtocolError):
        encode_close(1001, "x" * 124)
    with pytest.raises(LocalProtocolError):
        encode_close(NO_STATUS_RECEIVED, "a reason needs a code")
