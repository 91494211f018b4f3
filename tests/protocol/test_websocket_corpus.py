"""Every attack of the corpus ends the websocket with its close code."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.protocol.websocket import (
    BINARY,
    NEED_DATA,
    MessageDecoder,
    WebSocketProtocolError,
)
from geuwsgi.protocol.websocket_deflate import Inflater
from tests.protocol.websocket_frames import client_frame

Cut = Callable[[bytes], list[bytes]]
CORPUS = Path(__file__).parents[1] / "corpus" / "websocket" / "frames.txt"
LIMIT = 1 << 20


def parse_bytes(text: str) -> bytes:
    """Read the notation that the corpus's README describes."""
    text = re.sub(r"\?(\d+)", lambda match: "00" * int(match[1]), text)
    text = re.sub(r"\(([^)]*)\)\*(\d+)", lambda m: m[1] * int(m[2]), text)
    return bytes.fromhex(text)


def attacks() -> list[tuple[str, int, str]]:
    found = []
    for line in CORPUS.read_text().splitlines():
        name, code, text = line.split(" | ")
        found.append((name, int(code), text))
    return found


@pytest.mark.parametrize(
    ("name", "code", "text"), attacks(), ids=[attack[0] for attack in attacks()]
)
def test_an_attack_is_answered_with_its_code(
    name: str, code: int, text: str, cut: Cut
) -> None:
    wire = parse_bytes(text)
    if len(wire) > 100_000 and cut.__name__ == "_one_by_one":
        pieces = [wire[n : n + 4099] for n in range(0, len(wire), 4099)]
    else:
        pieces = cut(wire)
    inflater = Inflater(15, False) if name.startswith("deflate") else None
    decoder = MessageDecoder(LIMIT, inflater)
    with pytest.raises(WebSocketProtocolError) as raised:
        for piece in pieces:
            decoder.feed(piece)
            while decoder.next() != NEED_DATA:
                pass
    assert raised.value.close_code == code
    assert len(str(raised.value).encode()) <= 123, "it must fit into a close frame"
    decoder.feed(client_frame(BINARY, b"more"))
    assert decoder.next() == NEED_DATA
