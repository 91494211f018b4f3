"""Packets of front servers, balancers and caches that are almost right.

Each function draws one input from a ``random.Random``: mostly a right one bent at a
place where lengths could lie, so that most inputs get past the first check.
"""

from __future__ import annotations

from random import Random

from geuwsgi.protocol.proxy import SIGNATURE

_TEXTS = (
    *(b"", b"a", b"PATH_INFO", b"/", b"CONTENT_LENGTH", b"0", b"SCGI", b"1", b"\xff\0"),
    *(b"HTTP_HOST", b"x" * 127, b"y" * 128, b"z" * 300, b"\n", b":", b",", b"cmd"),
)


def damaged(random: Random, octets: bytes) -> bytes:
    """Change, drop, double, add or cut at up to two places."""
    for _ in range(random.choice((0, 0, 1, 1, 1, 2))):
        if not octets:
            return octets
        at = random.randrange(len(octets))
        kind = random.randrange(6)
        before, after = octets[:at], octets[at + 1 :]
        if kind == 0:
            octets = before + bytes((random.randrange(256),)) + after
        elif kind == 1:
            octets = before + after
        elif kind == 2:
            octets = before + octets[at : at + 1] + octets[at:]
        elif kind == 3:
            octets = (
                before + random.choice((b"\0", b"\xff", b"\x80", b":")) + octets[at:]
            )
        elif kind == 4:
            octets = before + bytes((octets[at] ^ 1 << random.randrange(8),)) + after
        else:
            octets = before
    return octets


def uwsgi_block(random: Random) -> bytes:
    """The variables of a uwsgi packet, or the items of an array."""
    count = random.choice((0, 2, 2, 4, 6, 1, 3))
    items = [random.choice(_TEXTS) for _ in range(count)]
    block = b"".join(len(item).to_bytes(2, "little") + item for item in items)
    return damaged(random, block)


_CACHE_FIELDS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"key", (b"", b"k", b"\xff", b"k" * 300)),
    (b"size", (b"0", b"5", b"-1", b"", b"1e3", b"+5", b" 5", b"9" * 19, b"9" * 20)),
    (b"expires", (b"0", b"60", b"-1", b"\xb2", b"5\n", b"0x1", b"9" * 19)),
    (b"amount", (b"1", b"-1", b"--1", b"9" * 18, b"1_0")),
    (b"cache", (b"", b"default", b"\xe2\x82", b"name@host:1")),
)
_CACHE_COMMANDS = (
    *(b"get", b"set", b"update", b"del", b"exists", b"clear", b"inc", b"dec"),
    *(b"mul", b"div", b"num", b"keys", b"", b"GET", b"get\0", b"magic"),
)


def cache_message(random: Random) -> tuple[int, bytes]:
    """modifier2 and the block of a request to a cache."""
    form = random.choice((17, 17, 17, 17, 0, 1, 1, 2, 5, 3, 255))
    if form != 17:
        return form, uwsgi_block(random)
    pairs = [(b"cmd", random.choice(_CACHE_COMMANDS))]
    pairs += [
        (name, random.choice(values))
        for name, values in _CACHE_FIELDS
        if random.random() < 0.5
    ]
    random.shuffle(pairs)
    block = b"".join(
        len(item).to_bytes(2, "little") + item for pair in pairs for item in pair
    )
    return form, damaged(random, block)


def scgi_request(random: Random) -> bytes:
    names = [b"CONTENT_LENGTH", b"SCGI"]
    names += [random.choice(_TEXTS) for _ in range(random.randrange(3))]
    if random.random() < 0.1:
        random.shuffle(names)
    block = b"".join(
        name + b"\0" + (b"1" if name == b"SCGI" else random.choice(_TEXTS)) + b"\0"
        for name in names
    )
    size = len(block) + random.choice((0,) * 12 + (1, -1, 7, 100_000))
    digits = random.choice((b"%d",) * 9 + (b"0%d", b"+%d", b" %d", b"%d ", b"-%d"))
    end = random.choice((b",",) * 9 + (b"", b";", b"\n"))
    return damaged(random, digits % size + b":" + block + end + b"body"[: size % 5])


def fastcgi_pairs(random: Random) -> bytes:
    octets = b""
    for _ in range(random.randrange(4)):
        name, value = random.choice(_TEXTS), random.choice(_TEXTS)
        for text in (name, value):
            size = len(text) + random.choice((0,) * 15 + (1, 200, 0x7FFFFF00))
            if size < 128 and random.random() < 0.9:
                octets += bytes((size,))
            else:
                octets += (size | 0x80000000).to_bytes(4, "big")
        octets += name + value
    return damaged(random, octets)


def fastcgi_records(random: Random) -> bytes:
    octets = b""
    for _ in range(random.choice((1, 1, 2, 3))):
        content = random.choice((b"", b"\0\1\1\0\0\0\0\0", fastcgi_pairs(random)))
        padding = random.choice((0, 0, 1, 7, 255))
        length = len(content) + random.choice((0,) * 12 + (1, 60_000))
        octets += bytes((random.choice((1,) * 15 + (0, 2)), random.randrange(12)))
        octets += random.choice((0, 1, 1, 1, 65535)).to_bytes(2, "big")
        octets += length.to_bytes(2, "big") + bytes((padding, random.choice((0, 9))))
        octets += content + bytes(padding)
    return damaged(random, octets)


_ADDRESSES = (
    *(b"1.2.3.4", b"255.255.255.255", b"0.0.0.0", b"::1", b"2001:db8::1", b"::"),
    *(b"::ffff:1.2.3.4", b"1.2.3", b"01.2.3.4", b"256.1.1.1", b"1.2.3.4.", b":::1"),
    *(b"fe80::1%eth0", b"g::1", b"", b"1.2.3.4:80", b"::1.2.3.4", b"1::2::3"),
    *(b"1111:2222:3333:4444:5555:6666:7777:8888", b"12345::", b"0x1.2.3.4"),
)
_PORTS = (b"0", b"80", b"65535", b"65536", b"080", b"-1", b"", b"99999", b"8 ", b"\xb2")


def proxy_header(random: Random) -> bytes:
    if random.random() < 0.5:
        family = random.choice(
            (b"TCP4", b"TCP4", b"TCP6", b"UNKNOWN", b"tcp4", b"UDP4")
        )
        good = _ADDRESSES[:3] if family == b"TCP4" else _ADDRESSES[3:6]
        words = [b"PROXY", family]
        if family != b"UNKNOWN" or random.random() < 0.5:
            for choices, odd in ((good, _ADDRESSES), (good, _ADDRESSES)):
                words.append(random.choice(choices if random.random() < 0.8 else odd))
            for _ in range(2):
                words.append(
                    random.choice(_PORTS[:3] if random.random() < 0.8 else _PORTS)
                )
        blank = random.choice((b" ",) * 12 + (b"  ", b"\t", b""))
        end = random.choice(
            (b"\r\n",) * 9 + (b"\n", b"\r", b" \r\n", b"x" * 90 + b"\r\n")
        )
        octets = blank.join(words) + end
    else:
        kind = random.choice((0, 1, 1, 2, 2, 3, 15))
        block = bytes(
            random.randrange(256) for _ in range({1: 12, 2: 36, 3: 216}.get(kind, 0))
        )
        block += random.choice((b"", b"", b"\x04\0\1x", b"\x20\0\0", bytes(50)))
        size = len(block) + random.choice((0,) * 12 + (1, -1, 5000, 60_000))
        octets = SIGNATURE + bytes((random.choice((0x21,) * 9 + (0x20, 0x11, 0x22)),))
        octets += bytes((kind << 4 | random.randrange(3),))
        octets += max(size, 0).to_bytes(2, "big") + block
    return damaged(random, octets) + random.choice((b"", b"GET / HTTP/1.1\r\n\r\n"))
