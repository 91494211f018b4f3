"""Crowds of peers that hold a server up, in each protocol that it speaks.

    python -m tests.faults.slowpeers KIND PROTOCOL ADDRESS SECONDS COUNT

``bytes`` send requests a byte at a time, ``heads`` and ``bodies`` never come to an end,
``readers`` take nearly nothing of long answers, ``ranges`` ask for hundreds of them;
``flood`` comes and goes at once, ``half`` ends its half or resets.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import struct
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator

from geuwsgi.testing.client import connect
from geuwsgi.testing.packet import encode_packet
from tests.fuzz.http2 import (
    DATA,
    HEADERS,
    PREFACE,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    literal,
)

KINDS = ("flood", "half", "bytes", "heads", "bodies", "readers", "ranges")

#: What slowhttptest asks for, and as many as are granted.
_RANGES = (
    "bytes=0-," + ",".join(f"5-{end}" for end in range(1300)),
    "bytes=" + ",".join(f"{at}-{at + 30_000}" for at in range(0, 2_560_000, 40_000)),
)
#: Beyond what is read before a core is taken; HTTP/2 has to wait for a window.
_BODY_BEGIN = 60_000
_BODY_MORE = 10_000
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_RESET = struct.pack("ii", 1, 0)
#: Windows as wide as they can be: it is the socket that is slow.
_HTTP2_BEGIN = (
    PREFACE
    + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0x7FFFFFFF))
    + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFF0000))
)


def _record(kind: int, octets: bytes) -> bytes:
    return struct.pack(">BBHHxx", 1, kind, 1, len(octets)) + octets


def head(
    protocol: str,
    target: str = "/",
    length: int = 0,
    fields: dict[str, str] | None = None,
) -> bytes:
    """All of a request before its body, whose end `body` marks."""
    method = "POST" if length else "GET"
    fields = fields or {}
    if protocol in ("http", "https"):
        lines = [f"{method} {target} HTTP/1.1", "Host: a", "Connection: close"]
        if length:
            lines.append(f"Content-Length: {length}")
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join([*lines, "", ""]).encode()
    if protocol == "http2":
        pairs = {":method": method, ":scheme": "http", ":path": target}
        pairs[":authority"] = "a"
        if length:
            pairs["content-length"] = str(length)
        pairs |= {name.lower(): value for name, value in fields.items()}
        block = b"".join(literal(n.encode(), v.encode()) for n, v in pairs.items())
        flags = 4 if length else 5
        return _HTTP2_BEGIN + frame(HEADERS, flags, 1, block)
    variables = {
        "CONTENT_LENGTH": str(length),
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "PATH_INFO": target,
        "QUERY_STRING": "",
        "SERVER_NAME": "a",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "a",
    }
    for name, value in fields.items():
        variables["HTTP_" + name.upper().replace("-", "_")] = value
    if protocol == "uwsgi":
        return encode_packet(variables)
    if protocol == "scgi":
        variables["SCGI"] = "1"
        netstring = "".join(f"{n}\0{v}\0" for n, v in variables.items()).encode()
        return b"%d:%s," % (len(netstring), netstring)
    params = b"".join(
        struct.pack(">BI", len(name), len(value) | 1 << 31) + (name + value).encode()
        for name, value in variables.items()
    )
    begin = (
        _record(1, struct.pack(">HB5x", 1, 0)) + _record(4, params) + _record(4, b"")
    )
    return begin if length else begin + _record(5, b"")


def body(protocol: str, octets: bytes, *, is_last: bool = False) -> bytes:
    """A part of a body, framed."""
    if protocol == "http2":
        parts = [octets[at : at + 16384] for at in range(0, len(octets), 16384)]
        framed = b"".join(frame(DATA, 0, 1, part) for part in parts[:-1])
        return framed + frame(DATA, is_last, 1, parts[-1])
    if protocol == "fastcgi":
        return _record(5, octets) + (_record(5, b"") if is_last else b"")
    return octets


def join(protocol: str, address: str, *, taking: int = 0) -> socket.socket:
    """A connection, after its handshake; its kernel takes ``taking`` bytes unread."""
    joined = connect(address, timeout=10)
    if taking:
        joined.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, taking)
    if protocol != "https":
        return joined
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(joined)
    except BaseException:
        joined.close()
        raise


def ask(protocol: str, address: str) -> None:
    """An ordinary request on a connection of its own; AssertionError if it fails."""
    with join(protocol, address) as client:
        client.sendall(head(protocol))
        received = b""
        while not (protocol == "http2" and _has_ended(received)):
            try:
                piece = client.recv(65536)
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                break
            if not piece:
                break
            received += piece
    good = {"http2": b"\x88", "scgi": b"Status: 200", "fastcgi": b"Status: 200"}
    assert good.get(protocol, b" 200 OK\r\n") in received, received[:300]
    assert b"ok" in received, received[:300]


def _has_ended(frames: bytes) -> bool:
    while len(frames) >= 9:
        size = int.from_bytes(frames[:3], "big")
        if frames[3] in (DATA, HEADERS) and frames[4] & 1:
            return len(frames) >= 9 + size
        frames = frames[9 + size :]
    return False


def _steps(kind: str, protocol: str, number: int) -> Iterator[bytes]:
    """What the peer ``number`` sends, step by step; then it goes."""
    whole = head(protocol, length=10) + body(protocol, b"x" * 10, is_last=True)
    if kind == "bytes":
        yield from (whole[at : at + 1] for at in range(len(whole)))
        yield from [b""] * 10
    elif kind == "heads":
        long = head(protocol, fields={"X-Long": "x" * 4000})
        yield long[:-2000]
        yield from (long[at : at + 1] for at in range(len(long) - 2000, len(long)))
    elif kind == "bodies":
        begin = head(protocol, length=10_000_000)
        yield begin + body(protocol, b"x" * _BODY_BEGIN)
        yield body(protocol, b"x" * _BODY_MORE)
        yield from itertools.repeat(body(protocol, b"x"))
    elif kind == "readers":
        yield head(protocol, "/big")
        yield from itertools.repeat(b"")
    else:
        yield head(protocol, "/files/big.bin", fields={"Range": _RANGES[number % 2]})
        yield from [b""] * 10


#: Seconds between two steps, and bytes that are read in each.
_PACE = {"bytes": (0.02, 4096), "ranges": (0.1, 262_144), "readers": (1.0, 64)}


class Crowd:
    """Up to ``count`` peers; who is left by the server comes back."""

    def __init__(self, kind: str, protocol: str, address: str, count: int) -> None:
        self._kind = kind
        self._protocol = protocol
        self._address = address
        self._count = count
        self._numbers = itertools.count()
        self._peers: dict[socket.socket, tuple[Iterator[bytes], bytes]] = {}
        self._half: deque[socket.socket] = deque()
        self.pace, self._take = _PACE.get(kind, (1.0, 4096))
        self.comes_and_goes = kind in ("flood", "half")
        self.counted: Counter[str] = Counter()

    def turn(self, seconds: float) -> None:
        """Let those come who are missing, for so long at most, and all go a step."""
        until = time.monotonic() + seconds
        if self.comes_and_goes:
            while time.monotonic() < until:
                self._come_and_go(next(self._numbers))
            return
        while len(self._peers) < self._count and time.monotonic() < until:
            if not self._come(next(self._numbers)):
                break
        for peer in list(self._peers):
            self._step(peer)

    def go(self) -> None:
        for peer in (*self._peers, *self._half):
            peer.close()
        self._peers.clear()
        self._half.clear()

    def _come(self, number: int) -> bool:
        try:
            taking = 4096 if self._kind == "readers" else 0
            peer = join(self._protocol, self._address, taking=taking)
        except OSError:
            self.counted["refused"] += 1
            return False
        peer.setblocking(False)
        self._peers[peer] = _steps(self._kind, self._protocol, number), b""
        self.counted["came"] += 1
        return True

    def _step(self, peer: socket.socket) -> None:
        steps, left = self._peers[peer]
        if not left:
            try:
                left = next(steps)
            except StopIteration:
                self._leave(peer, "done")
                return
        try:
            with contextlib.suppress(*_NOT_NOW):
                while left:
                    left = left[peer.send(left) :]
            with contextlib.suppress(*_NOT_NOW):
                if not peer.recv(self._take):
                    raise ConnectionError
        except OSError:
            self._leave(peer, "left by the server")
        else:
            self._peers[peer] = steps, left

    def _leave(self, peer: socket.socket, why: str) -> None:
        self.counted[why] += 1
        del self._peers[peer]
        peer.close()

    def _come_and_go(self, number: int) -> None:
        protocol = self._protocol
        request = head(protocol, length=10) + body(protocol, b"x" * 10, is_last=True)
        octets = request if number % 2 else request[: len(request) // 2]
        with contextlib.suppress(OSError):
            if self._kind == "flood":
                # It does not shake hands: what it sends is no TLS either.
                with join("http", self._address) as peer:
                    self.counted["came"] += 1
                    if number % 4:
                        peer.sendall(octets)
                return
            half = join(protocol, self._address)
            self._half.append(half)
            self.counted["came"] += 1
            half.sendall(octets)
            if number % 4 < 2:
                half.shutdown(socket.SHUT_WR)
            else:
                half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._half.pop().close()
        if len(self._half) > self._count:
            self._half.popleft().close()
        time.sleep(0.002)


def main(kind: str, protocol: str, address: str, seconds: str, count: str) -> None:
    crowd = Crowd(kind, protocol, address, int(count))
    until = time.monotonic() + float(seconds)
    while (now := time.monotonic()) < until:
        next_turn = min(until, now + crowd.pace)
        crowd.turn(next_turn - now)
        time.sleep(max(0.0, next_turn - time.monotonic()))
    crowd.go()
    print(", ".join(f"{name} {number}" for name, number in crowd.counted.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
