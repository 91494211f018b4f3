"""SCGI requests: one netstring of variables, then the body.

``<length>:CONTENT_LENGTH\\0<n>\\0SCGI\\0001\\0<name>\\0<value>\\0…,`` as the protocol's
description has it: CONTENT_LENGTH comes first, SCGI must be there and be 1.
"""

from __future__ import annotations

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.foreign import name_protocol

_MOST_DIGITS = 7


def find_block(received: bytes, limit: int) -> tuple[int, int] | None:
    """Return where the block of variables begins and ends; None: read more.

    The block is followed by a comma. Raises RemoteProtocolError for what is no
    netstring, and with 431 for one longer than ``limit``.
    """
    colon = received.find(b":", 0, _MOST_DIGITS + 1)
    digits = received[:colon] if colon >= 0 else received[: _MOST_DIGITS + 1]
    if not digits.isdigit() and digits:
        if named := name_protocol(received):
            raise RemoteProtocolError(f"{named} came to an SCGI socket")
        raise RemoteProtocolError(f"not an SCGI request: {received[:16]!r}")
    if colon < 0:
        if len(received) > _MOST_DIGITS:
            raise RemoteProtocolError("the length of an SCGI request has no end")
        return None
    if not digits or (digits[:1] == b"0" and digits != b"0"):
        raise RemoteProtocolError(f"malformed length of an SCGI request: {digits!r}")
    size = int(digits)
    if size > limit:
        raise RemoteProtocolError(
            f"SCGI variables of {size} bytes, more than {limit}", 431
        )
    start = colon + 1
    end = start + size
    if len(received) <= end:
        return None
    if received[end] != 0x2C:
        raise RemoteProtocolError("the variables of an SCGI request have no end")
    return start, end


def decode_vars(block: bytes, environ: dict[str, object]) -> int:
    """Add the variables in ``block`` to ``environ``; return how many there were.

    Raises RemoteProtocolError if they are not pairs, or not those of SCGI.
    """
    items = block.decode("latin-1").split("\0")
    if items.pop() or len(items) % 2:
        raise RemoteProtocolError("SCGI variables are not pairs")
    names = items[::2]
    if not names or names[0] != "CONTENT_LENGTH":
        raise RemoteProtocolError("an SCGI request does not begin with CONTENT_LENGTH")
    if len(set(names)) != len(names):
        raise RemoteProtocolError("an SCGI variable is given twice")
    variables = dict(zip(names, items[1::2], strict=True))
    if "" in variables:
        raise RemoteProtocolError("an SCGI variable has no name")
    if variables.pop("SCGI", "") != "1":
        raise RemoteProtocolError("the request is not of SCGI 1")
    environ.update(variables)
    return len(variables)
