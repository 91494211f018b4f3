"""One value of memcached or Redis: what is asked, and what the answer says.

For the routing actions that fetch or keep a whole response there. Each exchange has a
connection of its own, so an answer is read until it is whole and nothing follows it.
"""

from __future__ import annotations

from dataclasses import dataclass

from geuwsgi.errors import RemoteProtocolError

#: No head of an answer is longer: memcached's keys have 250 bytes.
_LONGEST_LINE = 512
_LONGEST_KEY = 250

Buffer = bytes | bytearray


@dataclass(slots=True)
class Found:
    """An answer that is whole. ``value`` is None if the server has none."""

    value: bytes | None


def encode_memcached_get(key: bytes) -> bytes:
    """Ask for a value. Raises ValueError for what is no key of memcached's."""
    return b"get %b\r\n" % _checked(key)


def encode_memcached_set(key: bytes, value: bytes, seconds: int) -> bytes:
    """Store a value, for ``seconds`` or (0) for ever. Raises ValueError as above."""
    return b"set %b 0 %d %d\r\n%b\r\n" % (_checked(key), seconds, len(value), value)


def _checked(key: bytes) -> bytes:
    # A blank or a line feed of a client's would begin a command of its own.
    if not 0 < len(key) <= _LONGEST_KEY or any(c <= 32 or c == 127 for c in key):
        raise ValueError(f"not a key of memcached: {key[:80]!r}")
    return key


def decode_memcached_get(received: Buffer) -> Found | None:
    """Read the answer to a get; None while it is not whole.

    Raises RemoteProtocolError for what is no such answer.
    """
    line, end = _line(received)
    if line is None:
        return None
    if line == b"END":
        return Found(None)
    words = line.split(b" ")
    if len(words) < 4 or words[0] != b"VALUE" or not words[3].isdigit():
        raise RemoteProtocolError(f"an answer of memcached's that is none: {line!r}")
    return _counted(received, end, int(words[3]), b"\r\nEND\r\n")


def decode_memcached_set(received: Buffer) -> bool | None:
    """Whether the value was stored; None while the answer is not whole."""
    line, _ = _line(received)
    return None if line is None else line == b"STORED"


def encode_redis(*words: bytes) -> bytes:
    """Encode a command."""
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word) for word in words
    )


def decode_redis_get(received: Buffer) -> Found | None:
    """Read the answer to GET; None while it is not whole.

    Raises RemoteProtocolError for an error, and for what is no such answer.
    """
    line, end = _line(received)
    if line is None:
        return None
    if line == b"$-1":
        return Found(None)
    if line[:1] != b"$" or not line[1:].isdigit():
        raise RemoteProtocolError(f"Redis does not send a value: {line!r}")
    return _counted(received, end, int(line[1:]), b"\r\n")


def decode_redis_set(received: Buffer) -> bool | None:
    """Whether the value was stored; None while the answer is not whole."""
    line, _ = _line(received)
    return None if line is None else line == b"+OK"


def _line(received: Buffer) -> tuple[bytes | None, int]:
    end = received.find(b"\r\n")
    if end < 0:
        if len(received) > _LONGEST_LINE:
            raise RemoteProtocolError("an answer without an end of line")
        return None, 0
    return bytes(received[:end]), end + 2


def _counted(received: Buffer, start: int, length: int, tail: bytes) -> Found | None:
    whole = start + length + len(tail)
    if len(received) < whole:
        return None
    if received[start + length : whole] != tail:
        raise RemoteProtocolError("a value that is longer than announced")
    return Found(bytes(received[start : start + length]))
