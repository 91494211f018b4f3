"""Websocket frames that are almost right, read by us, `websockets` and `wsproto`.

The comparison and what explains a difference are those of
``tests/protocol/test_websocket_oracles.py``; here are many more inputs, and every one
is read in pieces as well.
"""

from __future__ import annotations

import os
from random import Random

import pytest

from geuwsgi.protocol.websocket import (
    CLOSE,
    NEED_DATA,
    MessageDecoder,
    WebSocketProtocolError,
)
from tests.fuzz.frames import client_frames
from tests.protocol.test_websocket_oracles import (
    LIMIT,
    Seen,
    of_websockets,
    of_wsproto,
    ours,
    up_to_bad_text,
)

INPUTS = int(os.environ.get("GEUWSGI_FUZZ_INPUTS", "4000")) // 4
SEED = int(os.environ.get("GEUWSGI_FUZZ_SEED", "1"))


def _same(mine: Seen, theirs: Seen) -> bool:
    """Everything before an error is the same, and both have one, or wait for bytes."""
    if mine and mine[-1][0] == "error":
        mine = mine[:-1]
    if theirs and theirs[-1][0] == "error":
        theirs = theirs[:-1]
    return mine == theirs


def differs(random: Random, *, asks_others: bool = True) -> object:
    wire = client_frames(random)
    whole = ours([wire])
    at = sorted(random.randrange(len(wire) + 1) for _ in range(3))
    pieces = [
        wire[start:end] for start, end in zip([0, *at], [*at, len(wire)], strict=True)
    ]
    if ours(pieces) != whole:
        return wire, pieces, whole, ours(pieces)
    if random.random() < 0.05 and ours([bytes((one,)) for one in wire]) != whole:
        return wire, "byte by byte", whole
    if not asks_others:
        return None
    return differs_from_others(wire, whole)


def differs_from_others(wire: bytes, whole: Seen) -> object:
    return _differs_from_wsproto(wire, whole) or _differs_from_websockets(wire, whole)


#: Ends of what we say of a length written longer than it had to be.
_NOT_MINIMAL = ("is not minimally encoded", "control frame longer than 125 bytes")


def _refusal(wire: bytes) -> str:
    decoder = MessageDecoder(LIMIT)
    decoder.feed(wire)
    try:
        while decoder.next() not in (NEED_DATA, CLOSE):
            pass
    except WebSocketProtocolError as error:
        return str(error)
    return ""


def _differs_from_wsproto(wire: bytes, whole: Seen) -> object:
    theirs = of_wsproto(wire)
    if whole and whole[-1][:2] == (CLOSE, 1014) and theirs[-1] == ("error", 1002):
        # RFC 6455 §7.4.2: registered codes may be sent; IANA has 1014, it has not.
        theirs = [*theirs[:-1], whole[-1]]
    return None if _same(whole, theirs) else ("wsproto", wire, whole, theirs)


def _differs_from_websockets(wire: bytes, whole: Seen) -> object:
    theirs = of_websockets(wire)
    mine = up_to_bad_text(whole)
    if len(mine) < len(whole):
        theirs = theirs[: len(mine)]
    if _refusal(wire).endswith(_NOT_MINIMAL):
        # RFC 6455 §5.2: the minimal number of bytes MUST be used; it takes any.
        return None if theirs[: len(mine) - 1] == mine[:-1] else (wire, mine, theirs)
    if mine and mine[-1][0] == CLOSE and theirs and theirs[-1] == ("error", 1002):
        # It refuses a close frame between fragments, which RFC 6455 §5.4 allows.
        mine = [*mine[:-1], theirs[-1]]
    return None if _same(mine, theirs) else ("websockets", wire, whole, theirs)


@pytest.mark.timeout(24 * 3600)
def test_frames_are_read_as_others_read_them() -> None:
    random = Random(SEED)
    for _ in range(INPUTS):
        assert differs(random) is None


def test_what_the_long_fuzzing_has_found_stays_explained() -> None:
    wire = bytes.fromhex("8883404e6fcb43b817")
    whole = ours([wire])
    assert whole == [(CLOSE, 1014, "x")]
    assert _differs_from_wsproto(wire, whole) is None
