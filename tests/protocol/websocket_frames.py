"""What a client sends: frames built by the letter of RFC 6455, right or wrong."""

from __future__ import annotations

MASK = b"\x37\xfa\x21\x3d"


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length: int | None = None,
    length_size: int | None = None,
) -> bytes:
    """Return one frame; ``length`` and ``length_size`` may lie."""
    size = len(payload) if length is None else length
    if length_size is None:
        length_size = 0 if size < 126 else 2 if size < 65536 else 8
    masked = 0x80 if mask is not None else 0
    head = bytes(((0x80 if fin else 0) | rsv << 4 | opcode,))
    if length_size == 0:
        head += bytes((masked | size,))
    elif length_size == 2:
        head += bytes((masked | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((masked | 127,)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(payload))
