"""FastCGI 1.0 records, as far as a responder needs them.

A record is eight bytes (version, type, request id, length of the content, length of
the padding, reserved) and its content and padding. A request is BEGIN_REQUEST, the
variables as a stream of PARAMS records, the body as a stream of STDIN records; an
empty record ends a stream. The answer is a stream of STDOUT and END_REQUEST.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.foreign import name_protocol

HEADER_SIZE = 8

BEGIN_REQUEST = 1
ABORT_REQUEST = 2
END_REQUEST = 3
PARAMS = 4
STDIN = 5
STDOUT = 6
GET_VALUES = 9
GET_VALUES_RESULT = 10
UNKNOWN_TYPE = 11

RESPONDER = 1
KEEP_CONNECTION = 1

REQUEST_COMPLETE = 0
CANT_MULTIPLEX = 1
UNKNOWN_ROLE = 3

_HEADER = struct.Struct(">BBHHBx")
_BEGIN = struct.Struct(">HB5x")
_MOST_CONTENT = 65535


class Record(NamedTuple):
    """One record; ``end`` is where the next one begins."""

    kind: int
    request_id: int
    content: bytes
    end: int


def decode_record(received: bytes, start: int = 0) -> Record | None:
    """Return the record that begins at ``start``; None if more must be read."""
    if len(received) - start < HEADER_SIZE:
        if len(received) > start and received[start] != 1:
            raise _other_version(received[start:])
        return None
    version, kind, request_id, length, padding = _HEADER.unpack_from(received, start)
    if version != 1:
        raise _other_version(received[start : start + 16])
    content = start + HEADER_SIZE
    end = content + length + padding
    if len(received) < end:
        return None
    return Record(kind, request_id, received[content : content + length], end)


def _other_version(received: bytes) -> RemoteProtocolError:
    named = name_protocol(received)
    told = f": {named} came to a FastCGI socket" if named else ""
    return RemoteProtocolError(f"FastCGI version {received[0]}, not 1{told}")


def decode_begin(content: bytes) -> tuple[int, int]:
    """Return role and flags of a BEGIN_REQUEST."""
    if len(content) != _BEGIN.size:
        raise RemoteProtocolError(f"a BEGIN_REQUEST of {len(content)} bytes, not 8")
    role, flags = _BEGIN.unpack(content)
    return role, flags


def decode_pairs(block: bytes, environ: dict[str, object]) -> int:
    """Add name-value pairs to ``environ``; return how many there were.

    Raises RemoteProtocolError if lengths do not add up or a name is empty.
    """
    text = block.decode("latin-1")
    end = len(block)
    position = 0
    count = 0
    while position < end:
        name_length, position = _length(block, position)
        value_length, position = _length(block, position)
        value = position + name_length
        after = value + value_length
        if after > end or not name_length:
            raise RemoteProtocolError(
                f"FastCGI variable {count + 1} runs over the block of {end} bytes"
                if name_length
                else "a FastCGI variable has no name"
            )
        environ[text[position:value]] = text[value:after]
        position = after
        count += 1
    return count


def _length(block: bytes, position: int) -> tuple[int, int]:
    try:
        length = block[position]
        if length < 0x80:
            return length, position + 1
        if len(block) < position + 4:
            raise IndexError
    except IndexError:
        raise RemoteProtocolError("a FastCGI length is cut short") from None
    word = int.from_bytes(block[position : position + 4], "big")
    return word & 0x7FFFFFFF, position + 4


def encode_record(kind: int, request_id: int, content: bytes | memoryview) -> bytes:
    """Return a record; ``content`` has at most 65535 bytes."""
    return _HEADER.pack(1, kind, request_id, len(content), 0) + content


def encode_stream(kind: int, request_id: int, octets: bytes | memoryview) -> bytes:
    """Return ``octets`` as records of a stream, without the empty one at its end."""
    if len(octets) <= _MOST_CONTENT:
        return encode_record(kind, request_id, octets)
    view = memoryview(octets)
    return b"".join(
        encode_record(kind, request_id, view[start : start + _MOST_CONTENT])
        for start in range(0, len(view), _MOST_CONTENT)
    )


def encode_end(request_id: int, status: int = REQUEST_COMPLETE) -> bytes:
    """Return the END_REQUEST of a request."""
    return encode_record(END_REQUEST, request_id, struct.pack(">IB3x", 0, status))


def encode_pair(name: bytes, value: bytes) -> bytes:
    """Return one name-value pair."""
    lengths = b"".join(
        bytes([len(item)])
        if len(item) < 0x80
        else (len(item) | 0x80000000).to_bytes(4, "big")
        for item in (name, value)
    )
    return lengths + name + value
