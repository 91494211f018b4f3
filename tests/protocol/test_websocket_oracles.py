"""Our codec against `websockets` and `wsproto`: random frames, good and hostile.

What a decoder made of the bytes is compared up to its first error: messages, control
frames, and the close code of the error. Where they differ the RFC decides, and the
difference is named here.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geuwsgi.protocol.websocket import (
    BINARY,
    CLOSE,
    NEED_DATA,
    PING,
    PONG,
    TEXT,
    MessageDecoder,
    WebSocketProtocolError,
    encode_frame,
)
from geuwsgi.protocol.websocket_deflate import DeflateSettings, Inflater, negotiate
from tests.protocol.websocket_frames import client_frame

wsproto = pytest.importorskip("wsproto")
from websockets.extensions.permessage_deflate import (  # noqa: E402
    PerMessageDeflate,
)
from websockets.frames import Frame  # noqa: E402
from websockets.protocol import OPEN, Protocol, Side  # noqa: E402
from wsproto.connection import (  # noqa: E402
    Connection,
    ConnectionState,
    ConnectionType,
)
from wsproto.events import (  # noqa: E402
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    TextMessage,
)

LIMIT = 1 << 16
Seen = list[tuple[Any, ...]]

texts = st.one_of(
    st.text(max_size=40).map(str.encode),
    st.binary(max_size=20),
    st.just(b"x" * 126),
    st.just("€".encode() * 100),
    st.sampled_from([b"\xe2\x82", b"\xac", b"\xf0\x9f", b"\x98\x80", b"\xff", b""]),
)
close_payloads = st.one_of(
    st.just(b""),
    st.binary(max_size=3),
    st.tuples(
        st.sampled_from([999, 1000, 1001, 1004, 1005, 1006, 1011, 1015, 3000, 4999]),
        texts,
    ).map(lambda pair: pair[0].to_bytes(2, "big") + pair[1][:100]),
)
good_frames = st.one_of(
    st.builds(
        client_frame,
        st.sampled_from([TEXT, BINARY, 0]),
        texts,
        fin=st.booleans(),
        mask=st.binary(min_size=4, max_size=4),
    ),
    st.builds(client_frame, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.builds(client_frame, st.just(CLOSE), close_payloads),
)
hostile_frames = st.one_of(
    st.builds(
        client_frame,
        st.integers(0, 15),
        st.binary(max_size=130),
        fin=st.booleans(),
        rsv=st.integers(0, 7),
        mask=st.one_of(st.none(), st.binary(min_size=4, max_size=4)),
    ),
    st.binary(max_size=30),
)
wires = st.lists(
    st.one_of(good_frames, good_frames, good_frames, hostile_frames), max_size=8
).map(b"".join)


def pieces_of(wire: bytes, seed: int) -> list[bytes]:
    generator = random.Random(seed)
    pieces = []
    start = 0
    while start < len(wire):
        end = start + generator.choice((1, 1, 2, 3, 7, 30, 1000))
        pieces.append(wire[start:end])
        start = end
    return pieces


def ours(pieces: list[bytes], inflate: Inflater | None = None) -> Seen:
    decoder = MessageDecoder(LIMIT, inflate)
    seen: Seen = []
    for piece in pieces:
        decoder.feed(piece)
        try:
            while (kind := decoder.next()) != NEED_DATA:
                if kind == CLOSE:
                    seen.append((CLOSE, decoder.close_code, decoder.close_reason))
                    return seen
                seen.append((kind, decoder.payload))
        except WebSocketProtocolError as error:
            seen.append(("error", error.close_code))
            return seen
    return seen


def of_wsproto(wire: bytes) -> Seen:
    connection = Connection(ConnectionType.SERVER)
    seen: Seen = []
    message: Any = None
    connection.receive_data(wire)
    for event in connection.events():
        if isinstance(event, TextMessage | BytesMessage):
            message = event.data if message is None else message + event.data
            if event.message_finished:
                if isinstance(message, str):
                    seen.append((TEXT, message.encode()))
                else:
                    seen.append((BINARY, bytes(message)))
                message = None
        elif isinstance(event, Ping):
            seen.append((PING, bytes(event.payload)))
        elif isinstance(event, Pong):
            seen.append((PONG, bytes(event.payload)))
        elif isinstance(event, CloseConnection):
            if connection.state is ConnectionState.OPEN:
                # What it wants us to send, as the peer broke the rules.
                seen.append(("error", int(event.code)))
            else:
                seen.append((CLOSE, int(event.code), event.reason or ""))
            return seen
    return seen


def of_websockets(wire: bytes, extensions: list[Any] | None = None) -> Seen:
    protocol = Protocol(Side.SERVER, state=OPEN, max_size=LIMIT)
    protocol.extensions = extensions or []
    protocol.receive_data(wire)
    seen: Seen = []
    opcode = 0
    message = b""
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode <= BINARY:
            opcode = int(frame.opcode) or opcode
            message += bytes(frame.data)
            if frame.fin:
                seen.append((opcode, message))
                message = b""
        elif frame.opcode == CLOSE:
            # It gives the frame before it has looked into it.
            continue
        else:
            seen.append((int(frame.opcode), bytes(frame.data)))
    if protocol.close_rcvd is not None and protocol.parser_exc is None:
        code = protocol.close_rcvd.code
        seen.append((CLOSE, int(code), protocol.close_rcvd.reason))
    elif protocol.close_sent is not None:
        seen.append(("error", int(protocol.close_sent.code)))
    return seen


def up_to_bad_text(seen: Seen) -> Seen:
    """`websockets` leaves it to its user whether text is UTF-8."""
    for n, item in enumerate(seen):
        if item == ("error", 1007):
            return seen[:n]
    return seen


@settings(max_examples=400, deadline=None)
@given(wires, st.integers(0, 1000))
def test_wsproto_sees_what_we_see(wire: bytes, seed: int) -> None:
    mine = ours(pieces_of(wire, seed))
    theirs = of_wsproto(wire)
    if mine != theirs:
        # It waits for the whole length of a frame before it looks at the mask, the
        # opcode of a message in progress and the text; we refuse at once.
        assert mine[: len(theirs)] == theirs[: len(mine)] or _same_up_to_code(
            mine, theirs
        ), (mine, theirs)


def _same_up_to_code(mine: Seen, theirs: Seen) -> bool:
    """Both refuse, at the same place; one frame may break two rules."""
    return (
        mine[:-1] == theirs[:-1]
        and bool(mine)
        and mine[-1][0] == "error" == theirs[-1][0]
    )


@settings(max_examples=400, deadline=None)
@given(st.lists(good_frames, max_size=8).map(b"".join), st.integers(0, 1000))
def test_websockets_sees_what_we_see(wire: bytes, seed: int) -> None:
    mine = up_to_bad_text(ours(pieces_of(wire, seed)))
    theirs = of_websockets(wire)
    if mine and mine[-1][0] == CLOSE and theirs[-1] == ("error", 1002):
        # It refuses a close frame between fragments, which RFC 6455 §5.4 allows.
        mine[-1] = ("error", 1002)
    same = theirs[: len(mine)] == mine or _same_up_to_code(mine, theirs)
    assert same, (mine, theirs)


@settings(max_examples=200, deadline=None)
@given(wires, st.integers(0, 1000))
def test_the_split_of_the_bytes_does_not_matter(wire: bytes, seed: int) -> None:
    assert ours(pieces_of(wire, seed)) == ours([wire])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.binary(max_size=300), st.integers(1, 40), st.integers(0, 6)),
        max_size=6,
    ),
    st.booleans(),
    st.integers(0, 1000),
)
def test_compressed_messages_mean_the_same_to_websockets(
    messages: list[tuple[bytes, int, int]], takeover: bool, seed: int
) -> None:
    wire = b""
    compressor: Any = None
    for payload, size, level in messages:
        if compressor is None or not takeover:
            compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        data = data[:-4] or b"\x00"
        parts = [data[n : n + size * 7] for n in range(0, len(data), size * 7)]
        for n, part in enumerate(parts):
            wire += client_frame(
                0 if n else BINARY,
                part,
                fin=n == len(parts) - 1,
                rsv=0 if n else 4,
            )
    mine = ours(pieces_of(wire, seed), Inflater(15, takeover))
    extension = PerMessageDeflate(not takeover, not takeover, 15, 15)
    assert mine == of_websockets(wire, [extension])
    assert [payload for _, payload in mine] == [payload for payload, _, _ in messages]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 1000))
def test_garbage_for_the_inflater_is_refused_or_bounded(
    first: bytes, second: bytes, seed: int
) -> None:
    wire = client_frame(BINARY, first, rsv=4) + client_frame(TEXT, second, rsv=4)
    for item in ours(pieces_of(wire, seed), Inflater(15, True)):
        assert item[0] == "error" or len(item[1]) <= LIMIT


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([TEXT, BINARY, PING]),
    st.one_of(st.binary(max_size=125), st.just(bytes(70_000))),
)
def test_what_we_build_the_others_read(opcode: int, payload: bytes) -> None:
    if opcode == PING:
        payload = payload[:125]
    if opcode == TEXT:
        payload = payload.hex().encode()
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(encode_frame(opcode, payload))
    got: Any = b""
    for event in client.events():
        if isinstance(event, TextMessage):
            got += event.data.encode()
        elif isinstance(event, BytesMessage):
            got += bytes(event.data)
        elif isinstance(event, Ping):
            got += bytes(event.payload)
    assert got == payload


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=600), max_size=6), st.booleans())
def test_what_we_compress_websockets_reads(
    payloads: list[bytes], takeover: bool
) -> None:
    agreement = negotiate(
        "permessage-deflate", DeflateSettings(context_takeover=takeover, window_bits=15)
    )
    assert agreement is not None
    deflater = agreement.deflater()
    protocol = Protocol(Side.CLIENT, state=OPEN, max_size=LIMIT)
    protocol.extensions = [PerMessageDeflate(not takeover, not takeover, 15, 15)]
    for payload in payloads:
        protocol.receive_data(
            encode_frame(BINARY, deflater.compress(payload), compressed=True)
        )
    frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
    assert [bytes(frame.data) for frame in frames] == payloads
