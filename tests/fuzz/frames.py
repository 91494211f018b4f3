"""Frames of websocket clients that are almost right."""

from __future__ import annotations

from random import Random

from tests.fuzz.packets import damaged
from tests.protocol.websocket_frames import client_frame

_TEXTS = (
    *(b"", b"a", b"hello", "€".encode(), "€".encode() * 50, b"x" * 125, b"x" * 126),
    *(b"\xe2\x82", b"\xac", b"\xf0\x9f", b"\x98\x80", b"\xff", b"\xed\xa0\x80", b"\0"),
)
_CLOSES = (
    *(b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x03\xe7", b"\x03\xed", b"\x0b\xb8"),
    *(b"\x03\xf7x", b"\x13\x87", b"\x13\x88", b"\x03\xe8\xff", b"\0\0"),
)


def client_frames(random: Random) -> bytes:
    """One to six frames, most of them legal, some of a fragmented message."""
    wire = b""
    in_message = False
    for _ in range(random.choice((1, 1, 2, 3, 4, 6))):
        dice = random.random()
        mask = random.randbytes(4)
        if dice < 0.6:
            fin = random.random() < 0.7
            opcode = 0 if in_message else random.choice((1, 1, 2))
            if random.random() < 0.04:
                opcode = random.choice((0, 1, 2))
            wire += client_frame(opcode, random.choice(_TEXTS), fin=fin, mask=mask)
            in_message = not fin
        elif dice < 0.8:
            payload = random.choice(_TEXTS)[:125]
            wire += client_frame(random.choice((9, 10)), payload, mask=mask)
        elif dice < 0.87:
            wire += client_frame(8, random.choice(_CLOSES), mask=mask)
        else:
            wire += client_frame(
                random.randrange(16),
                random.choice(_TEXTS),
                fin=random.random() < 0.8,
                rsv=random.choice((0, 0, 0, 4, 2, 1)),
                mask=mask if random.random() < 0.8 else None,
                length=random.choice((None, None, 5, 125)),
                length_size=random.choice((None, None, 2, 8)),
            )
    if random.random() < 0.25:
        wire = damaged(random, wire)
    return wire
