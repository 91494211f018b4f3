"""Connections of HTTP/2 that are almost right, read whole and in pieces.

The frames are h2's to read, and are followed by `FrameGuard`, which a simple second
reading judges here. Whatever h2 takes for a request becomes a head of HTTP/1.1 for the
one parser: it is refused there, or means what the fields said, and nothing but the
errors that the session expects comes out of any of it.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

pytest.importorskip("h2.connection")

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import http1
from geuwsgi.server.http2.guard import MAX_FRAME, PREFACE, FrameGuard
from geuwsgi.server.http2.heads import request_head
from tests.fuzz.http2 import connection

INPUTS = int(os.environ.get("GEUWSGI_FUZZ_INPUTS", "4000")) // 4
SEED = int(os.environ.get("GEUWSGI_FUZZ_SEED", "1"))

Told = list[Any]


def _ours(pieces: list[bytes], parser: http1.HeadParser) -> tuple[Told, bool]:
    """What was understood, and whether the guard waits for the end of something."""
    reader = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=False, header_encoding=False)
    )
    reader.initiate_connection()
    guard = FrameGuard()
    told: Told = []
    for piece in pieces:
        try:
            guard.look(piece)
        except RemoteProtocolError as exc:
            told.append(str(exc))
            return told, True
        try:
            events = reader.receive_data(piece)
        except h2.exceptions.ProtocolError as exc:
            told.append(type(exc).__name__)
            return told, True
        reader.data_to_send()
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                told.append(_request(event.headers or [], parser))
            elif isinstance(event, h2.events.DataReceived):
                told.append((event.stream_id, event.data))
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                told.append((event.stream_id, type(event).__name__))
    return told, guard.is_within


def _request(fields: Any, parser: http1.HeadParser) -> object:
    environ: dict[str, object] = {}
    try:
        framing = parser.parse(request_head(fields), environ)
    except RemoteProtocolError as exc:
        assert 400 <= exc.status < 600
        return exc.status
    given = {name: value for name, value in fields if name.startswith(b":")}
    assert environ["REQUEST_METHOD"] == given[b":method"].decode("latin-1")
    assert environ["REQUEST_URI"] == given[b":path"].decode("latin-1")
    host = given.get(b":authority")
    if host is not None:
        assert environ["HTTP_HOST"] == host.decode("latin-1")
    # One field of HTTP/2 is one of HTTP/1.1, or joined with its like.
    names = {
        f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
        for name, _ in fields
        if not name.startswith(b":")
    }
    spoken = {name for name in environ if name.startswith("HTTP_")}
    assert spoken <= names | {"HTTP_HOST"}
    return environ, framing


def _model(octets: bytes) -> tuple[int, bool]:
    """Bytes before a frame that is too long, -1 for none; whether something is open."""
    at = len(PREFACE)
    is_open = at > len(octets)
    in_block = False
    while at < len(octets):
        head = octets[at : at + 9]
        if len(head) < 9:
            return -1, True
        length = int.from_bytes(head[:3], "big")
        if length > MAX_FRAME:
            return at, True
        if head[3] in (1, 9):
            in_block = not head[4] & 4
        at += 9 + length
        is_open = at > len(octets)
    return -1, is_open or in_block


def differs(random: Random) -> object:
    octets = connection(random)
    parser = http1.HeadParser(max_fields=64)
    whole, is_within = _ours([octets], parser)
    too_long, is_open = _model(octets)
    if too_long >= 0 and not (whole and "frame of" in str(whole[-1])):
        return octets, "a long frame was not seen", whole
    is_refused = bool(whole) and isinstance(whole[-1], str)
    if not is_refused and is_within is not is_open:
        return octets, "the guard is lost", is_within
    at = sorted(random.randrange(len(octets) + 1) for _ in range(3))
    pieces = [
        octets[start:end]
        for start, end in zip([0, *at], [*at, len(octets)], strict=True)
    ]
    in_pieces, _ = _ours(pieces, parser)
    if is_refused:
        # What came before the refusal may have been told already.
        return None if in_pieces and isinstance(in_pieces[-1], str) else (octets, whole)
    return None if whole == in_pieces else (octets, pieces, whole, in_pieces)


@pytest.mark.timeout(24 * 3600)
def test_frames_are_read_the_same_in_any_pieces() -> None:
    random = Random(f"{SEED} http2")
    found = [found for _ in range(INPUTS) if (found := differs(random)) is not None]
    assert not found, (len(found), found[:3])
