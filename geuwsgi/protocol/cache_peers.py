"""What caches of several servers tell each other, as uWSGI does.

Changes go as datagrams, which are uwsgi packets with an array: key, value and expiry
time (absolute, 0 for never) for modifier2 10, the key for 11. uWSGI 2.0 sends the key
alone and heeds a deletion only if something follows it: here something does.

Whole contents are asked for with modifier2 6 and the cache's name. The answer is a
packet with ``items`` and ``blocksize``, then the tables as uWSGI has them in memory: one
record with its key for each item, then the values' blocks. Item 0 is never used.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import uwsgi

SET, DELETE = 10, 11
DUMP, DUMPED = 6, 7

# Flags, key size, hash, value size, first block, expiry time, hits, and the places in
# four lists.
_RECORD = struct.Struct("<11Q")
_RECORDS_AT_ONCE = 256
_PIECE = 1 << 16

Entry = tuple[bytes, bytes, int]


@dataclass(slots=True)
class Change:
    """A change that a peer tells of; ``value`` is None for a deletion."""

    key: bytes
    value: bytes | None = None
    expires: int = 0


def encode_change(change: Change) -> bytes:
    """Return the datagram. Raises ValueError if it would be too long."""
    if change.value is None:
        block = uwsgi.encode_array([change.key, b"0"])
        return uwsgi.encode_packet(uwsgi.CACHE, block, DELETE)
    items = [change.key, change.value, b"%d" % change.expires]
    if any(len(item) > 0xFFFF for item in items):
        raise ValueError("a value over 65535 bytes is not told to peers")
    return uwsgi.encode_packet(uwsgi.CACHE, uwsgi.encode_array(items), SET)


def decode_change(datagram: bytes) -> Change:
    """Return the change in a datagram. Raises RemoteProtocolError."""
    if len(datagram) < uwsgi.HEADER_SIZE:
        raise RemoteProtocolError(f"a datagram of {len(datagram)} bytes")
    modifier1, size, modifier2 = uwsgi.decode_header(datagram)
    block = datagram[uwsgi.HEADER_SIZE :]
    if modifier1 != uwsgi.CACHE or size != len(block):
        raise RemoteProtocolError(f"a datagram that begins {datagram[:8]!r}")
    items = uwsgi.decode_array(block)
    if modifier2 == DELETE and 1 <= len(items) <= 2:
        return Change(items[0])
    if modifier2 == SET and len(items) == 3 and items[2].isdigit():
        return Change(items[0], items[1], int(items[2][:19]))
    raise RemoteProtocolError(f"a change of {len(items)} items, kind {modifier2}")


def encode_dump_request(cache: str) -> bytes:
    """Return the packet that asks for a cache's contents."""
    return uwsgi.encode_packet(uwsgi.CACHE, cache.encode(), DUMP)


@dataclass(frozen=True)
class DumpShape:
    """The sizes of the tables. Both sides must have the same."""

    items: int
    blocksize: int
    keysize: int
    blocks: int
    bitmap: bool = False


def encode_dump(shape: DumpShape, entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the answer to a request; what does not fit is left out."""
    fields = {b"items": b"%d" % shape.items, b"blocksize": b"%d" % shape.blocksize}
    yield uwsgi.encode_packet(uwsgi.CACHE, uwsgi.encode_vars(fields), DUMPED)
    placed = list(_place(shape, entries))
    by_item = {item: (entry, first) for item, first, entry in placed}
    empty = bytes(_RECORD.size + shape.keysize)
    for start in range(0, shape.items, _RECORDS_AT_ONCE):
        end = min(start + _RECORDS_AT_ONCE, shape.items)
        yield b"".join(
            _encode_record(shape, *by_item[item]) if item in by_item else empty
            for item in range(start, end)
        )
    at = 0
    for _, first, (_, value, _) in placed:
        yield from _zeros(first * shape.blocksize - at)
        yield value
        at = first * shape.blocksize + len(value)
    yield from _zeros(shape.blocks * shape.blocksize - at)


def _place(
    shape: DumpShape, entries: Iterable[Entry]
) -> Iterator[tuple[int, int, Entry]]:
    """Yield item, first block and entry, in the order of the blocks."""
    item, next_block = 1, 0
    for entry in entries:
        key, value, _ = entry
        count = -(-len(value) // shape.blocksize)
        first = next_block if shape.bitmap else item
        fits = first + count <= shape.blocks and (shape.bitmap or count <= 1)
        if item >= shape.items or not fits or len(key) > shape.keysize:
            continue
        yield item, first, entry
        item, next_block = item + 1, next_block + count


def _encode_record(shape: DumpShape, entry: Entry, first: int) -> bytes:
    key, value, expires = entry
    record = _RECORD.pack(
        0, len(key), _hash(key), len(value), first, expires, 0, 0, 0, 0, 0
    )
    return record + key + bytes(shape.keysize - len(key))


def _hash(key: bytes) -> int:
    # Who reads the tables looks items up by it: Bernstein's hash with exclusive or.
    value = 5381
    for octet in key:
        value = (value * 33 ^ octet) & 0xFFFFFFFF
    return value


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, _PIECE))
        count -= _PIECE


def read_dump(shape: DumpShape, read: Callable[[int], bytes]) -> Iterator[Entry]:
    """Yield the entries of an answer.

    ``read`` returns as many bytes as it is asked for, less at the end. Raises
    RemoteProtocolError if that comes too early, or the sizes are not ours.
    """
    header = _read_exactly(read, uwsgi.HEADER_SIZE)
    modifier1, size, modifier2 = uwsgi.decode_header(header)
    if (modifier1, modifier2) != (uwsgi.CACHE, DUMPED):
        raise RemoteProtocolError(f"an answer that begins {header!r}")
    fields: dict[str, object] = {}
    uwsgi.decode_vars(_read_exactly(read, size), fields)
    theirs = fields.get("items"), fields.get("blocksize")
    if theirs != (str(shape.items), str(shape.blocksize)):
        raise RemoteProtocolError(
            "it has {} items of {} bytes, not {} of {}".format(
                *theirs, shape.items, shape.blocksize
            )
        )
    records = []
    for _ in range(shape.items):
        raw = _read_exactly(read, _RECORD.size + shape.keysize)
        _, key_size, _, length, first, expires, *_ = _RECORD.unpack_from(raw)
        if 0 < key_size <= shape.keysize and length:
            key = raw[_RECORD.size : _RECORD.size + key_size]
            records.append((first, key, length, expires))
    at = 0
    for first, key, length, expires in sorted(records):
        start = first * shape.blocksize
        if start < at or start + length > shape.blocks * shape.blocksize:
            raise RemoteProtocolError(f"the value of {key!r} is nowhere it could be")
        while at < start:
            at += len(_read_exactly(read, min(start - at, _PIECE)))
        value = _read_exactly(read, length)
        at += length
        yield key, value, expires


def _read_exactly(read: Callable[[int], bytes], size: int) -> bytes:
    octets = read(size)
    if len(octets) < size:
        raise RemoteProtocolError("the answer ends too early")
    return octets
