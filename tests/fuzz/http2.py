"""Frames of HTTP/2 that are almost right.

Mostly requests as clients send them, their parts bent where lengths, indexes and
states could lie, so that most inputs get past the preface and into a stream.
"""

from __future__ import annotations

from random import Random

from tests.fuzz.packets import damaged

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)

_LINE = (
    (b":method", (b"GET", b"POST", b"HEAD", b"CONNECT", b"OPTIONS", b"G T", b"")),
    (b":scheme", (b"https", b"http", b"HTTP", b"x y", b"")),
    (b":path", (b"/", b"/a%20b?c", b"*", b"x", b"", b"http://b/", b"/\xff", b"/ a")),
    (b":authority", (b"a", b"a:1", b"u@a", b"", b"a b", b"a\r\nx: y")),
)
_FIELDS = (
    *((b"accept", b"*/*"), (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"te", b"x")),
    *((b"host", b"b"), (b"host", b"a"), (b"content-length", b"3"), (b"X", b"y")),
    *((b"content-length", b"03"), (b"content-length", b"-1"), (b"content_length", b"")),
    *((b"transfer-encoding", b"chunked"), (b"connection", b"close"), (b"", b"x")),
    *(
        (b"te", b"trailers"),
        (b"x:y", b"z"),
        (b"x", b"a\nb"),
        (b"x", b" a"),
        (b"x", b""),
    ),
    *((b":path", b"/b"), (b":status", b"200"), (b":protocol", b"websocket")),
    *((b"x\r\nhost", b"z"), (b"expect", b"100-continue"), (b"upgrade", b"h2c")),
    (b"x", b"y" * 300),
)
#: Whole fields of HPACK's static table, and what is no index at all.
_INDEXED = (
    b"\x82",
    b"\x83",
    b"\x84",
    b"\x86",
    b"\x87",
    b"\x80",
    b"\xbe",
    b"\xff\xff\x7f",
)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(3, "big")
        + bytes((kind, flags))
        + stream.to_bytes(4, "big")
        + payload
    )


def integer(number: int, bits: int, first: int = 0) -> bytes:
    """HPACK's integers (RFC 7541 §5.1)."""
    most = (1 << bits) - 1
    if number < most:
        return bytes((first | number,))
    octets = bytes((first | most,))
    number -= most
    while number >= 128:
        octets += bytes((number % 128 | 128,))
        number //= 128
    return octets + bytes((number,))


def literal(name: bytes, value: bytes, first: int = 0) -> bytes:
    """A field with its name; ``first`` 0x40 has it remembered."""
    return (
        bytes((first,)) + integer(len(name), 7) + name + integer(len(value), 7) + value
    )


def block(random: Random) -> bytes:
    """The encoded fields of a request, more or less."""
    if random.random() < 0.3:
        octets = b"\x82\x87\x84" + literal(b":authority", b"a")
    else:
        octets = b""
        for name, values in _LINE:
            if random.random() < 0.97:
                value = values[0] if random.random() < 0.7 else random.choice(values)
                octets += literal(name, value)
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        octets += literal(*random.choice(_FIELDS), random.choice((0, 0, 0x40, 0x10)))
    if random.random() < 0.1:
        octets += random.choice(_INDEXED)
    if random.random() < 0.05:
        octets = integer(random.choice((0, 100, 4096, 1 << 20)), 5, 0x20) + octets
    return damaged(random, octets) if random.random() < 0.15 else octets


def _request(random: Random, stream: int) -> bytes:
    fields = block(random)
    end = random.random() < 0.6
    flags = end * 1
    padding = b""
    if random.random() < 0.05:
        flags |= 0x8
        padding = bytes(random.randrange(4))
        fields = bytes((len(padding) + random.choice((0, 0, 255)) & 255,)) + fields
    if random.random() < 0.05:
        flags |= 0x20
        fields = random.choice((b"\0\0\0\0\1", b"\0\0\0\1\1", b"\xff" * 5)) + fields
    if random.random() < 0.8:
        octets = frame(HEADERS, flags | 4, stream, fields + padding)
    else:
        at = random.randrange(len(fields) + 1)
        octets = frame(HEADERS, flags, stream, fields[:at])
        octets += frame(CONTINUATION, 4, stream, fields[at:])
    if not end:
        size = random.choice((0, 1, 3, 3, 3, 600, 16384))
        octets += frame(DATA, random.choice((0, 1, 1, 1, 8)), stream, bytes(size))
        if random.random() < 0.3:
            octets += frame(DATA, 1, stream, b"abc")
        if random.random() < 0.1:
            octets += frame(HEADERS, 5, stream, literal(*random.choice(_FIELDS)))
    return octets


def _other(random: Random, stream: int) -> bytes:
    kind = random.choice(
        (
            PRIORITY,
            RST_STREAM,
            SETTINGS,
            PING,
            GOAWAY,
            WINDOW_UPDATE,
            CONTINUATION,
            PUSH_PROMISE,
            DATA,
            random.randrange(256),
        )
    )
    sizes = {PRIORITY: 5, RST_STREAM: 4, SETTINGS: 6, PING: 8, GOAWAY: 8}
    size = sizes.get(kind, 4) if random.random() < 0.9 else random.randrange(20)
    payload = random.choice((bytes(size), random.randbytes(size), b"\0\4" + bytes(4)))
    on = (
        0 if kind in (SETTINGS, PING, GOAWAY) else random.choice((0, stream, stream, 9))
    )
    return frame(kind, random.choice((0, 0, 0, 1, 4, 255)), on, payload)


def connection(random: Random) -> bytes:
    """What a client sends, from the preface on."""
    octets = b"" if random.random() < 0.02 else PREFACE
    if random.random() < 0.95:
        octets += frame(SETTINGS, 0, 0, b"")
    stream = 1
    for _ in range(random.choice((1, 1, 2, 3))):
        if random.random() < 0.7:
            octets += _request(random, stream)
            stream += random.choice((2, 2, 2, 2, 0, 1))
        else:
            octets += _other(random, stream)
    return damaged(random, octets) if random.random() < 0.3 else octets
