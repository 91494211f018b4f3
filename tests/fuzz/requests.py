"""Requests that are almost right.

`near_valid` writes one or two requests and bends them in a few places, where parsers
are known to disagree: lengths, codings, blanks, line ends, controls, names, targets.
It draws from a ``random.Random``, so hypothesis can drive it and a soak can run it a
million times for the price of the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

#: Follows every request: a parser that ends the one before it elsewhere is seen.
SENTINEL = b"GET /sentinel HTTP/1.1\r\nHost: s\r\n\r\n"

_METHODS = (b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH")
_ODD_METHODS = (
    b"get",
    b"CONNECT",
    b"G\x00T",
    b"",
    b"P,ST",
    b"M-SEARCH",
    b"PRI",
    b"QUERY",
)
_TARGETS = (b"/", b"/a/b?c=d", b"/%41", b"/a;b", b"//a", b"/?", b"/a?b?c")
_ODD_TARGETS = (
    *(b"*", b"a", b"", b"http://h/x", b"http://h", b"https://u@h/", b"/#f", b"/a b"),
    *(b"/\xff", b"/%", b"/\t", b"/%00", b"h:80", b"?a", b"/\x7f", b'/{}|\\^`<>"'),
)
_VERSIONS = (
    *(b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.1 ", b"http/1.1"),
    *(
        b"HTTP/1.10",
        b"HTTP/01.1",
        b"HTTP/1",
        b"HTTP/1.1\r",
        b"HTTP/ 1.1",
        b"",
        b"ICE/1.0",
    ),
)
_LENGTHS = (
    *(b"+%d", b"-%d", b"0%d", b"%d,%d", b"%d, %d", b"%d ", b"%d\t", b"0x%d", b"%d_0"),
    *(
        b"%d.0",
        b"",
        b" ",
        b"%d\x0b",
        b"%d\x00",
        b"\xb2",
        b"99999999999999999999%d",
        b"%de0",
    ),
)
_CODINGS = (
    *(
        b"chunked",
        b"Chunked",
        b"CHUNKED",
        b"chunked ",
        b"\tchunked",
        b"identity",
        b"gzip",
    ),
    *(
        b"gzip, chunked",
        b"chunked, gzip",
        b"chunked, chunked",
        b"chunked,",
        b",chunked",
    ),
    *(
        b"xchunked",
        b"chunked;q=1",
        b"chunke",
        b"",
        b'"chunked"',
        b"\x0bchunked",
        b"chun\r\n ked",
    ),
)
_FIELDS = (
    *(b"X-A: b", b"Accept: */*", b"Cookie: a=b", b"X-A:b", b"X-A:", b"X-A: \t b \t"),
    *(b"Connection: close", b"Connection: keep-alive", b"Connection: Close, x"),
    *(
        b"Content-Type: text/plain",
        b"X-A: \xe9",
        b"TE: trailers",
        b"Expect: 100-continue",
    ),
)
_ODD_FIELDS = (
    *(
        b"X-A : b",
        b" X-A: b",
        b"\tX-A: b",
        b": b",
        b"X-A",
        b"",
        b"X\x00A: b",
        b"X-A: \x00",
    ),
    *(
        b"X-A: a\rb",
        b"X-A: a\nb",
        b"X-A: a\r\n b",
        b"X(A): b",
        b"X\xe9: b",
        b"X-A: \x1b",
    ),
    *(b"Content_Length: 3", b"Transfer_Encoding: chunked", b"Content-Length : 3"),
    *(b"Host: b", b"Host: a, b", b"HOST: a", b"Content-Length: 0", b"X-A: \x7f"),
    *(b"Upgrade: websocket", b"Connection: Upgrade", b"Upgrade: h2c", b"Expect: x"),
    *(
        b"Content-Length\t: 3",
        b"Content-Length:\x0c3",
        b"Transfer-Encoding\x00: chunked",
    ),
    *(b"Content-Length: 3\r", b"X-A: b\r\r", b"Proxy: p", b"Connection: \x0bclose"),
)
_HOSTS = (
    b"h",
    b"h:80",
    b"[::1]:80",
    b"a b",
    b"",
    b"a/b",
    b"u@h",
    b"h,h",
    b"\xe9",
    b"h:x",
    b"a_b",
)
_LINE_ENDS = (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"\r\n ", b"\0\r\n", b"")
_EXTENSIONS = (
    *(b";a", b";a=b", b' ;a="b"', b"; a = b", b" ", b";", b";a\nb", b";a\rb", b";\x00"),
    *(b';a="b\\"c"', b';a="b', b"\t", b";a=b;c", b";=", b";a\xff", b'"', b";\xb2"),
)
_ODD_SIZES = (
    *(b"+%x", b"-%x", b"0x%x", b" %x", b"%xg", b"%x_", b"%x\x00", b"", b"%x.0"),
    *(b"00000000000000000000%x", b"ffffffffffffffff%x", b"%x\n", b"%x\r", b"1%x"),
)
_TRAILERS = (
    *(
        b"X-T: v\r\n",
        b"Content-Length: 5\r\n",
        b"X-T\r\n",
        b"X-T : v\r\n",
        b" X-T: v\r\n",
    ),
    *(
        b"X-T: \x00\r\n",
        b"X-T: v\n",
        b"\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X-T: v\r",
    ),
)


def near_valid(random: Random) -> bytes:
    """Return one or two requests with up to three faults, and the sentinel."""
    # Most inputs have one fault: with many, every parser stops at the first.
    bend = _Bend(random, random.choice((0, 1, 1, 1, 2, 3)))
    requests = b"".join(_request(bend) for _ in range(random.choice((1, 1, 2))))
    if random.random() < 0.15:
        requests = _damage(random, requests)
    return requests + SENTINEL


def chunked_body(random: Random) -> bytes:
    """Return the bytes of a chunked body with up to two faults."""
    return _chunked(_Bend(random, random.choice((0, 1, 1, 2))))


class _Bend:
    """Decides where the faults are."""

    def __init__(self, random: Random, faults: int) -> None:
        self.random = random
        self._left = faults

    def one(self, right: Sequence[bytes], odd: Sequence[bytes], chance: float) -> bytes:
        """One of ``right``; or of ``odd`` if a fault is due and the dice say so."""
        if self._left and self.random.random() < chance:
            self._left -= 1
            return self.random.choice(odd)
        return self.random.choice(right)


def _request(bend: _Bend) -> bytes:
    random = bend.random
    line_end: Callable[[], bytes] = lambda: bend.one((b"\r\n",), _LINE_ENDS, 0.02)  # noqa: E731
    blank: Callable[[], bytes] = lambda: bend.one(  # noqa: E731
        (b" ",), (b"  ", b"\t", b"", b"\x0b", b"\xa0", b"\r"), 0.02
    )
    lines = [
        bend.one((b"",), (b"\r\n", b"\n", b" ", b"\0", b"\r\n\r\n", b"\r"), 0.03)
        + bend.one(_METHODS, _ODD_METHODS, 0.05)
        + blank()
        + bend.one(_TARGETS, _ODD_TARGETS, 0.08)
        + blank()
        + bend.one((b"HTTP/1.1",), _VERSIONS, 0.08)
    ]
    fields = [b"Host: " + bend.one((b"h",), _HOSTS, 0.05)]
    if bend.one((b"y",), (b"n",), 0.02) == b"n":
        fields.clear()
    for _ in range(random.randrange(3)):
        fields.append(bend.one(_FIELDS, _ODD_FIELDS, 0.3))
    body = _body(bend, fields)
    random.shuffle(fields)
    octets = bytearray()
    for line in (*lines, *fields):
        octets += line + line_end()
    return bytes(octets + line_end() + body)


def _body(bend: _Bend, fields: list[bytes]) -> bytes:
    random = bend.random
    kind = random.randrange(4)
    body = b""
    if kind in (1, 3):
        body = random.choice((b"", b"abc", b"0\r\n\r\n", b"0123456789", SENTINEL))
        length = bend.one((b"%d",), _LENGTHS, 0.25)
        number = len(body)
        count = length.count(b"%d")
        fields.append(
            bend.one(
                (b"Content-Length: ",), (b"content-length:", b"CONTENT-LENGTH:\t"), 0.05
            )
            + length % ((number,) * count)
        )
        if kind == 3 and bend.one((b"n",), (b"y",), 0.3) == b"y":
            other = bend.one((b"%d",), (b"0", b"1"), 0.7)
            fields.append(b"Content-Length: " + other.replace(b"%d", b"%d" % number))
    elif kind == 2:
        fields.append(
            bend.one((b"Transfer-Encoding: ",), (b"transfer-encoding:",), 0.05)
            + bend.one(_CODINGS[:1], _CODINGS, 0.3)
        )
        if bend.one((b"n",), (b"y",), 0.15) == b"y":
            fields.append(
                random.choice((b"Content-Length: 3", b"Transfer-Encoding: chunked"))
            )
        body = _chunked(bend)
    return body


def _chunked(bend: _Bend) -> bytes:
    random = bend.random
    octets = bytearray()
    sizes = [random.choice((1, 3, 10, 16)) for _ in range(random.randrange(3))]
    for size in (*sizes, 0):
        written = bend.one((b"%x", b"%X", b"0%x"), _ODD_SIZES, 0.1)
        octets += written % size if b"%" in written else written
        octets += bend.one((b"",), _EXTENSIONS, 0.15)
        octets += bend.one((b"\r\n",), _LINE_ENDS, 0.06)
        if size:
            octets += b"x" * size
            octets += bend.one((b"\r\n",), (*_LINE_ENDS, b"xx", b"x\r\n", b"\rx"), 0.06)
    octets += bend.one((b"",), _TRAILERS, 0.15)
    octets += bend.one((b"\r\n",), _LINE_ENDS, 0.05)
    return bytes(octets)


def _damage(random: Random, octets: bytes) -> bytes:
    """Change, drop, double or cut at one place."""
    if not octets:
        return octets
    at = random.randrange(len(octets))
    kind = random.randrange(5)
    if kind == 0:
        return octets[:at] + bytes([random.randrange(256)]) + octets[at + 1 :]
    if kind == 1:
        return octets[:at] + octets[at + 1 :]
    if kind == 2:
        return octets[:at] + octets[at : at + 1] + octets[at:]
    if kind == 3:
        return (
            octets[:at]
            + bytes([random.choice(b"\0\t\n\r ,:;\x0b\x7f\x85\xa0")])
            + octets[at:]
        )
    return octets[:at]
