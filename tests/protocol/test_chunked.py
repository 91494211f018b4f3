from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk


def decode(pieces: list[bytes]) -> tuple[bytes, ChunkedDecoder]:
    decoder = ChunkedDecoder()
    data = b""
    for piece in pieces:
        if decoder.complete:
            decoder.leftover += piece
        else:
            data += decoder.feed(piece)
    return data, decoder


def test_a_body_in_every_split_of_its_bytes() -> None:
    body = b'5;a=b;c="d\\"e"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET /'
    for first in range(len(body)):
        for second in range(first, len(body)):
            pieces = [body[:first], body[first:second], body[second:]]
            data, decoder = decode([piece for piece in pieces if piece])
            assert data == b"hello0123456789"
            assert decoder.complete
            assert decoder.leftover == b"GET /"


def test_a_body_byte_by_byte() -> None:
    body = encode_chunk(b"a" * 300) + LAST_CHUNK
    data, decoder = decode([bytes([octet]) for octet in body])
    assert data == b"a" * 300
    assert decoder.complete
    assert decoder.leftover == b""


@given(st.lists(st.binary(min_size=1, max_size=50)), st.data())
def test_what_is_encoded_comes_back(chunks: list[bytes], data: st.DataObject) -> None:
    body = b"".join(map(encode_chunk, chunks)) + LAST_CHUNK
    pieces = []
    while body:
        size = data.draw(st.integers(1, len(body)))
        pieces.append(body[:size])
        body = body[size:]
    decoded, decoder = decode(pieces)
    assert decoded == b"".join(chunks)
    assert decoder.complete


HOSTILE = {
    "sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n",
    "leading blank": b" 5\r\nhello\r\n",
    "trailing blank": b"5 \r\nhello\r\n",
    "empty size": b"\r\nhello\r\n",
    "only extension": b";a=b\r\n",
    "huge size": b"1" + b"0" * 15 + b"\r\n",
    "bare lf after size": b"5\nhello\r\n0\r\n\r\n",
    "bare cr in size": b"5\rX\r\nhello\r\n",
    "bare lf in extension": b"5;a\nb\r\nhello\r\n",
    "control in extension": b"5;a=\x01\r\nhello\r\n",
    "open quote in extension": b'5;a="b\r\nhello\r\n',
    "extension without name": b"5;\r\nhello\r\n",
    "data too long": b"5\r\nhelloX\r\n0\r\n\r\n",
    "data without crlf": b"5\r\nhello0\r\n\r\n",
    "data with bare lf": b"5\r\nhello\n0\r\n\r\n",
    "not hexadecimal": b"g\r\n",
    "trailer without colon": b"0\r\nnonsense\r\n\r\n",
    "trailer space before colon": b"0\r\nX : y\r\n\r\n",
    "trailer folded": b"0\r\nX: y\r\n z\r\n\r\n",
    "trailer nul": b"0\r\nX: \0\r\n\r\n",
    "trailer bare lf": b"0\r\nX: y\n\r\n",
    "long extension": b"5;" + b"a" * 5000,
    "long trailer": b"0\r\n" + b"X: y\r\n" * 5000,
    "long trailer line": b"0\r\nX: " + b"y" * 20000,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bodies_are_refused_in_any_pieces(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode([body])
    with pytest.raises(RemoteProtocolError):
        decode([bytes([octet]) for octet in body])


@given(st.binary(max_size=80))
def test_any_bytes_are_decoded_or_refused_alike_whole_and_in_pieces(
    body: bytes,
) -> None:
    def outcome(pieces: list[bytes]) -> object:
        try:
            data, decoder = decode(pieces)
        except RemoteProtocolError:
            return None
        return data, decoder.complete, decoder.leftover

    assert outcome([body]) == outcome([bytes([octet]) for octet in body])
