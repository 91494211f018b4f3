"""uwsgi packets: the binary request format that nginx's ``uwsgi_pass`` speaks.

A packet is a header of four bytes (modifier1, size of the block as a little-endian
16-bit number, modifier2) and a block. For requests, modifier1 0, the block is a run
of variables: 16-bit length and bytes of the key, then of the value. The body follows
the packet, ``CONTENT_LENGTH`` bytes long, and the answer is plain HTTP.

The peer is a front server of the same site and is trusted with what it says about
the client. It is not trusted to frame correctly: lengths that do not add up are
refused.
"""

from __future__ import annotations

from geuwsgi.errors import RemoteProtocolError

HEADER_SIZE = 4

#: modifier1 of a WSGI request.
REQUEST = 0
PING = 100
SIGNAL = 110
CACHE = 111
RPC = 173


def decode_header(packet: bytes) -> tuple[int, int, int]:
    """Return (modifier1, size of the block, modifier2) of at least 4 bytes."""
    return packet[0], packet[1] | packet[2] << 8, packet[3]


def decode_vars(block: bytes, environ: dict[str, object]) -> int:
    """Add the variables in ``block`` to ``environ``; return how many there were.

    Keys and values are latin-1 in str, as PEP 3333 has it. A key given twice has
    its last value. Raises RemoteProtocolError if lengths do not add up or a key is
    empty.
    """
    text = block.decode("latin-1")
    end = len(block)
    position = 0
    count = 0
    try:
        while position < end:
            start = position + 2
            position = start + (block[position] | block[position + 1] << 8)
            key = text[start:position]
            start = position + 2
            position = start + (block[position] | block[position + 1] << 8)
            environ[key] = text[start:position]
            count += 1
    except IndexError:
        raise RemoteProtocolError(
            f"uwsgi variable {count + 1} runs over the block of {end} bytes"
        ) from None
    if position != end:
        raise RemoteProtocolError(
            f"uwsgi variable {count} runs over the block of {end} bytes"
        )
    if "" in environ:
        raise RemoteProtocolError("uwsgi variable with an empty key")
    return count


def decode_array(block: bytes) -> list[bytes]:
    """Return the items of an array block (remote calls, cache requests)."""
    items: list[bytes] = []
    end = len(block)
    position = 0
    while position < end:
        if position + 2 > end:
            raise RemoteProtocolError("uwsgi array item without a length")
        start = position + 2
        position = start + (block[position] | block[position + 1] << 8)
        if position > end:
            raise RemoteProtocolError(
                f"uwsgi array item {len(items) + 1} runs over the block"
            )
        items.append(block[start:position])
    return items


def encode_packet(modifier1: int, block: bytes, modifier2: int = 0) -> bytes:
    """Return a packet. ``block`` must be shorter than 65536 bytes."""
    if len(block) > 0xFFFF:
        raise ValueError(f"a uwsgi block of {len(block)} bytes exceeds 65535")
    return bytes((modifier1, len(block) & 0xFF, len(block) >> 8, modifier2)) + block


def encode_vars(variables: dict[bytes, bytes]) -> bytes:
    """Return the block of ``variables``, in the order of the dictionary."""
    return b"".join(
        len(item).to_bytes(2, "little") + item
        for pair in variables.items()
        for item in pair
    )


def encode_array(items: list[bytes]) -> bytes:
    """Return the block of ``items``, each at most 65535 bytes long."""
    return b"".join(len(item).to_bytes(2, "little") + item for item in items)
