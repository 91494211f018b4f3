"""permessage-deflate: what is agreed, what is compressed, what is refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.websocket import (
    BINARY,
    NEED_DATA,
    PING,
    TEXT,
    MessageDecoder,
    WebSocketProtocolError,
)
from geuwsgi.protocol.websocket_deflate import (
    DeflateAgreement,
    DeflateSettings,
    Inflater,
    negotiate,
    parse_extensions,
)
from tests.protocol.websocket_frames import client_frame

Cut = Callable[[bytes], list[bytes]]

SMALL = DeflateSettings()
KEEPING = DeflateSettings(context_takeover=True, window_bits=15)


def agree(header: str, settings: DeflateSettings = SMALL) -> DeflateAgreement:
    agreement = negotiate(header, settings)
    assert agreement is not None
    return agreement


def raw_deflate(*texts: bytes, final: bool = False) -> list[bytes]:
    compressor = zlib.compressobj(wbits=-15)
    out = []
    for text in texts:
        data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
        out.append(data[:-4])
    return out


def decode(decoder: MessageDecoder, pieces: list[bytes]) -> list[tuple[int, bytes]]:
    got = []
    for piece in pieces:
        decoder.feed(piece)
        while (kind := decoder.next()) != NEED_DATA:
            got.append((kind, decoder.payload))
    return got


@pytest.mark.parametrize(
    ("header", "response"),
    [
        (
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover;"
            " client_no_context_takeover",
        ),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover;"
            " client_no_context_takeover; client_max_window_bits=12",
        ),
        (
            'x-other, PERMESSAGE-DEFLATE ;client_max_window_bits = "10";'
            "server_max_window_bits=9",
            "permessage-deflate; server_no_context_takeover;"
            " client_no_context_takeover; server_max_window_bits=9;"
            " client_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=8, ,permessage-deflate",
            "permessage-deflate; server_no_context_takeover;"
            " client_no_context_takeover",
        ),
    ],
)
def test_what_a_small_server_answers(header: str, response: str) -> None:
    assert agree(header).response == response


@pytest.mark.parametrize(
    ("header", "response"),
    [
        ("permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
        (
            "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15",
        ),
    ],
)
def test_what_a_server_that_keeps_its_context_answers(
    header: str, response: str
) -> None:
    assert agree(header, KEEPING).response == response


def test_a_client_that_cannot_lower_its_window_gets_a_full_one() -> None:
    assert agree("permessage-deflate").client_bits == 15


@pytest.mark.parametrize(
    "header",
    [
        "",
        " , ",
        "x-webkit-deflate-frame",
        "permessage-bzip2; client_max_window_bits",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=015",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=+9",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; unknown",
    ],
)
def test_offers_that_are_declined(header: str) -> None:
    assert negotiate(header, SMALL) is None


@pytest.mark.parametrize(
    "header",
    [
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        'permessage-deflate; a="',
        'permessage-deflate; a="b c"',
        "permessage deflate",
        "; a=b",
        "permessage-deflate; a=b c",
        "permessage-d\xebflate",
    ],
)
def test_a_malformed_header_fails_the_handshake(header: str) -> None:
    with pytest.raises(RemoteProtocolError):
        negotiate(header, SMALL)


def test_the_extensions_of_a_header() -> None:
    assert parse_extensions('a; b; C="d" ,  e;f=g; f') == [
        ("a", {"b": None, "c": "d"}),
        ("e", None),
    ]


@pytest.mark.parametrize("settings", [SMALL, KEEPING], ids=["no takeover", "takeover"])
@pytest.mark.parametrize("size", [0, 1, 300, 70_000])
def test_both_directions_agree(settings: DeflateSettings, size: int) -> None:
    agreement = agree("permessage-deflate; client_max_window_bits", settings)
    deflater = agreement.deflater()
    inflater = Inflater(agreement.server_bits, agreement.server_takeover)
    for n in range(4):
        text = (b"%d: the same words again, " % n * (size // 20 + 1))[:size]
        compressed = deflater.compress(text)
        assert inflater.decompress(compressed, size) + inflater.finish(size) == text
        if size > 299:
            assert len(compressed) < size


def test_context_takeover_makes_the_second_message_smaller() -> None:
    text = bytes(range(256))
    keeping = agree("permessage-deflate", KEEPING).deflater()
    assert len(keeping.compress(text)) > 200
    assert len(keeping.compress(text)) < 50
    keeping.forget()
    assert len(keeping.compress(text)) > 200
    small = agree("permessage-deflate").deflater()
    assert len(small.compress(text)) > 200
    assert len(small.compress(text)) > 200


def test_compressed_messages_fragmented_and_in_every_split(cut: Cut) -> None:
    one, two = raw_deflate(b"Hello" * 100, "grün €".encode())
    wire = (
        client_frame(TEXT, one[:3], rsv=4, fin=False)
        + client_frame(PING, b"p")
        + client_frame(0, b"", fin=False)
        + client_frame(0, one[3:])
        + client_frame(TEXT, b"plain")
        + client_frame(TEXT, two, rsv=4)
        + client_frame(BINARY, b"\x00", rsv=4)
    )
    decoder = MessageDecoder(500, Inflater(15, True))
    assert decode(decoder, cut(wire)) == [
        (PING, b"p"),
        (TEXT, b"Hello" * 100),
        (TEXT, b"plain"),
        (TEXT, "grün €".encode()),
        (BINARY, b""),
    ]


def test_an_uncompressed_fragmented_message_on_a_deflate_connection(cut: Cut) -> None:
    wire = client_frame(TEXT, b"a", fin=False) + client_frame(0, b"b")
    decoder = MessageDecoder(2, Inflater(15, False))
    assert decode(decoder, cut(wire)) == [(TEXT, b"ab")]


def test_a_final_block_ends_neither_message_nor_connection(cut: Cut) -> None:
    # RFC 7692 §7.2.3.4: "Hello" with BFINAL set.
    final = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
    wire = client_frame(TEXT, final, rsv=4) * 2
    for takeover in (False, True):
        decoder = MessageDecoder(100, Inflater(15, takeover))
        assert decode(decoder, cut(wire)) == [(TEXT, b"Hello")] * 2


def test_the_stored_block_of_the_rfc(cut: Cut) -> None:
    # RFC 7692 §7.2.3.3: "Hello" without compression.
    stored = b"\x00\x05\x00\xfa\xffHello\x00"
    decoder = MessageDecoder(100, Inflater(15, False))
    assert decode(decoder, cut(client_frame(TEXT, stored, rsv=4))) == [(TEXT, b"Hello")]


def refused(wire: bytes, cut: Cut, max_size: int = 1000) -> int:
    decoder = MessageDecoder(max_size, Inflater(15, True))
    with pytest.raises(WebSocketProtocolError) as raised:
        decode(decoder, cut(wire))
    decoder.feed(client_frame(TEXT, b"more"))
    assert decoder.next() == NEED_DATA
    return raised.value.close_code


def test_a_bomb_is_stopped_at_the_limit(cut: Cut) -> None:
    (bomb,) = raw_deflate(bytes(100_000))
    assert refused(client_frame(BINARY, bomb, rsv=4), cut) == 1009
    fragments = client_frame(BINARY, bomb[:50], rsv=4, fin=False)
    assert refused(fragments + client_frame(0, bomb[50:]), cut) == 1009


def test_the_limit_is_that_of_the_message_and_not_one_less(cut: Cut) -> None:
    (data,) = raw_deflate(bytes(1000))
    wire = client_frame(BINARY, data, rsv=4)
    decoder = MessageDecoder(1000, Inflater(15, True))
    assert decode(decoder, cut(wire)) == [(BINARY, bytes(1000))]
    assert refused(wire, cut, max_size=999) == 1009


def test_what_cannot_be_compressed_may_be_a_little_longer_on_the_wire() -> None:
    import random

    noise = random.Random(1).randbytes(10_000)
    compressor = zlib.compressobj(0, zlib.DEFLATED, -15)
    data = compressor.compress(noise) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(data) > 10_000
    decoder = MessageDecoder(10_000, Inflater(15, True))
    wire = client_frame(BINARY, data[:-4], rsv=4)
    assert decode(decoder, [wire]) == [(BINARY, noise)]


def test_a_compressed_frame_far_beyond_the_limit_is_refused_by_its_header() -> None:
    decoder = MessageDecoder(1000, Inflater(15, True))
    decoder.feed(client_frame(BINARY, rsv=4, length=5000)[:4])
    with pytest.raises(WebSocketProtocolError) as raised:
        decoder.next()
    assert raised.value.close_code == 1009


def test_garbage_is_1007(cut: Cut) -> None:
    assert refused(client_frame(BINARY, b"\xff" * 20, rsv=4), cut) == 1007
    bad_block = b"\x00\x09\x00\xf0\xff"  # a length that is not its complement's
    assert refused(client_frame(BINARY, bad_block, rsv=4), cut) == 1007


def test_compressed_text_is_checked(cut: Cut) -> None:
    for bad in (b"\xff", b"abc\xe2\x82", b"\xed\xa0\x80"):
        (data,) = raw_deflate(bad)
        assert refused(client_frame(TEXT, data, rsv=4), cut) == 1007


def test_a_flood_of_final_blocks_is_refused(cut: Cut) -> None:
    assert refused(client_frame(BINARY, b"\x03\x00" * 100, rsv=4), cut) == 1007
    decoder = MessageDecoder(1000, Inflater(15, True))
    wire = client_frame(BINARY, b"\x03\x00" * 10 + b"\x00", rsv=4)
    assert decode(decoder, cut(wire * 5)) == [(BINARY, b"")] * 5
