"""SNMP v1 and v2c, as much as an agent with numbers needs (RFC 1157, RFC 3416).

A datagram to a request, and a request with a tree of numbers to the datagram that
answers it. Get, get-next and get-bulk are answered; nothing can be set.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from geuwsgi.errors import RemoteProtocolError

Name = tuple[int, ...]
Number = tuple[int, int]
"""A tag and a value."""

V1, V2C = 0, 1
GET, GET_NEXT, GET_BULK, _RESPONSE = 0xA0, 0xA1, 0xA5, 0xA2
COUNTER32, GAUGE32, COUNTER64 = 0x41, 0x42, 0x46
_INTEGER, _OCTETS, _NULL, _NAME, _SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
_NO_SUCH_INSTANCE, _END_OF_VIEW = 0x81, 0x82
_NO_SUCH_NAME = 2  # the error of v1
_WIDTHS = {COUNTER32: 32, GAUGE32: 32, COUNTER64: 64}
# A datagram that passes every network; RFC 3416 has get-bulk end before it.
_LARGEST = 1400
_MOST_NAMES = 128


@dataclass(slots=True)
class Request:
    """What is asked. ``kind`` is the tag of the message."""

    version: int
    community: bytes
    kind: int
    number: int
    names: list[Name] = field(default_factory=list)
    non_repeaters: int = 0
    repetitions: int = 0


def decode_request(datagram: bytes) -> Request:
    """Return the request in a datagram. Raises RemoteProtocolError."""
    message = _Reader(datagram).enter(_SEQUENCE)
    version = message.integer()
    if version not in (V1, V2C):
        raise RemoteProtocolError(f"SNMP of version {version}")
    community = message.take(_OCTETS)
    kind = message.peek()
    if kind not in (GET, GET_NEXT) and (kind, version) != (GET_BULK, V2C):
        raise RemoteProtocolError(f"an SNMP message of kind {kind:#x}")
    body = message.enter(kind)
    request = Request(version, community, kind, body.integer())
    request.non_repeaters, request.repetitions = body.integer(), body.integer()
    names = body.enter(_SEQUENCE)
    while names:
        pair = names.enter(_SEQUENCE)
        request.names.append(_decode_name(pair.take(_NAME)))
        if len(request.names) > _MOST_NAMES:
            raise RemoteProtocolError(f"more than {_MOST_NAMES} names at once")
    return request


def encode_answer(request: Request, tree: Mapping[Name, Number]) -> bytes:
    """Return the datagram that answers a request out of ``tree``."""
    error = place = 0
    pairs: list[bytes] = []
    size = 0
    for index, name, tag, value in _find(request, tree):
        missing = tag in (_NO_SUCH_INSTANCE, _END_OF_VIEW)
        if missing and request.version == V1:
            error, place = _NO_SUCH_NAME, index + 1
            pairs = [_encode_pair(asked, _NULL, 0) for asked in request.names]
            break
        pair = _encode_pair(name, tag, value)
        size += len(pair)
        if size > _LARGEST and request.kind == GET_BULK and pairs:
            break
        pairs.append(pair)
    body = (
        _encode_integer(_INTEGER, request.number)
        + _encode_integer(_INTEGER, error)
        + _encode_integer(_INTEGER, place)
        + _encode(_SEQUENCE, b"".join(pairs))
    )
    return _encode(
        _SEQUENCE,
        _encode_integer(_INTEGER, request.version)
        + _encode(_OCTETS, request.community)
        + _encode(_RESPONSE, body),
    )


def _find(
    request: Request, tree: Mapping[Name, Number]
) -> Iterator[tuple[int, Name, int, int]]:
    """Yield the place of each name that was asked, and what is found for it."""
    if request.kind == GET:
        for index, name in enumerate(request.names):
            yield (index, name, *tree.get(name, (_NO_SUCH_INSTANCE, 0)))
        return
    order = sorted(tree)

    def following(name: Name) -> tuple[Name, int, int]:
        at = bisect_right(order, name)
        if at == len(order):
            return name, _END_OF_VIEW, 0
        return (order[at], *tree[order[at]])

    single = len(request.names)
    if request.kind == GET_BULK:
        single = min(single, max(0, request.non_repeaters))
    for index, name in enumerate(request.names[:single]):
        yield (index, *following(name))
    repeated = list(request.names[single:])
    for _ in range(min(request.repetitions, len(order) + 1)):
        for index, name in enumerate(repeated):
            found = following(name)
            yield (single + index, *found)
            repeated[index] = found[0]


class _Reader:
    """Takes values of basic encoding rules off some octets."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._octets)

    def peek(self) -> int:
        if not self:
            raise RemoteProtocolError("an SNMP message that ends too early")
        return self._octets[self._at]

    def take(self, tag: int) -> bytes:
        """Return the contents of the next value, which must have that tag."""
        if self.peek() != tag:
            raise RemoteProtocolError(f"SNMP: {self.peek():#x} instead of {tag:#x}")
        start = self._at + 2
        size = self._octets[self._at + 1] if start <= len(self._octets) else 0x80
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(self._octets[start : start + count], "big")
            start += count
            if not 0 < count <= 4:
                raise RemoteProtocolError("SNMP: a value without an end")
        self._at = start + size
        if self._at > len(self._octets):
            raise RemoteProtocolError("an SNMP message that ends too early")
        return self._octets[start : self._at]

    def enter(self, tag: int) -> _Reader:
        return _Reader(self.take(tag))

    def integer(self) -> int:
        octets = self.take(_INTEGER)
        if not 0 < len(octets) <= 8:
            raise RemoteProtocolError(f"SNMP: an integer of {len(octets)} bytes")
        return int.from_bytes(octets, "big", signed=True)


def _decode_name(octets: bytes) -> Name:
    if not octets:
        raise RemoteProtocolError("SNMP: an empty name")
    numbers = [min(octets[0] // 40, 2)]
    numbers.append(octets[0] - 40 * numbers[0])
    number = 0
    for octet in octets[1:]:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    if (octets[-1] & 0x80 and len(octets) > 1) or len(numbers) > _MOST_NAMES:
        raise RemoteProtocolError("SNMP: a name without an end")
    return tuple(numbers)


def _encode_name(name: Name) -> bytes:
    octets = bytearray((40 * name[0] + name[1],))
    for number in name[2:]:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        octets += bytes(reversed(groups))
    return bytes(octets)


def _encode_pair(name: Name, tag: int, value: int) -> bytes:
    number = b""
    if tag in _WIDTHS:
        number = _encode_integer(tag, value & (1 << _WIDTHS[tag]) - 1)
    return _encode(
        _SEQUENCE, _encode(_NAME, _encode_name(name)) + (number or _encode(tag, b""))
    )


def _encode_integer(tag: int, value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return _encode(tag, value.to_bytes(size, "big", signed=True))


def _encode(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 0x80:
        return bytes((tag, size)) + contents
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + contents
