"""What memcached and Redis are asked, and their answers in any pieces."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.values import (
    Found,
    decode_memcached_get,
    decode_memcached_set,
    decode_redis_get,
    decode_redis_set,
    encode_memcached_get,
    encode_memcached_set,
    encode_redis,
)

Decode = Callable[[bytes], object]


@pytest.mark.parametrize(
    ("decode", "answer", "expected"),
    [
        (decode_memcached_get, b"END\r\n", Found(None)),
        (decode_memcached_get, b"VALUE k 0 3\r\na\r\n\r\nEND\r\n", Found(b"a\r\n")),
        (decode_memcached_get, b"VALUE k 0 0\r\n\r\nEND\r\n", Found(b"")),
        (decode_memcached_set, b"STORED\r\n", True),
        (decode_memcached_set, b"SERVER_ERROR out of memory\r\n", False),
        (decode_redis_get, b"$-1\r\n", Found(None)),
        (decode_redis_get, b"$3\r\na\r\n\r\n", Found(b"a\r\n")),
        (decode_redis_set, b"+OK\r\n", True),
        (decode_redis_set, b"-READONLY\r\n", False),
    ],
)
def test_an_answer_is_read_once_it_is_whole(
    decode: Decode, answer: bytes, expected: object
) -> None:
    for end in range(len(answer)):
        assert decode(answer[:end]) is None
    assert decode(answer) == expected


@pytest.mark.parametrize(
    ("decode", "answer"),
    [
        (decode_memcached_get, b"ERROR\r\n"),
        (decode_memcached_get, b"VALUE k 0 -1\r\n"),
        (decode_memcached_get, b"VALUE k 0 1\r\nab\r\nEND\r\n"),
        (decode_memcached_get, b"x" * 513),
        (decode_redis_get, b"-WRONGTYPE\r\n"),
        (decode_redis_get, b":1\r\n"),
        (decode_redis_get, b"$1\r\nabc\r\n"),
        (decode_redis_get, b"x" * 513),
    ],
)
def test_what_is_no_answer_is_refused(decode: Decode, answer: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(answer)


def test_commands_are_framed() -> None:
    assert encode_memcached_get(b"k") == b"get k\r\n"
    assert encode_memcached_set(b"k", b"a\r\n", 5) == b"set k 0 5 3\r\na\r\n\r\n"
    assert encode_redis(b"GET", b"k 1") == b"*2\r\n$3\r\nGET\r\n$3\r\nk 1\r\n"


@pytest.mark.parametrize("key", [b"", b"a b", b"a\r\nset x", b"k" * 251, b"\x7f"])
def test_a_key_cannot_be_a_command_of_memcached(key: bytes) -> None:
    with pytest.raises(ValueError, match="not a key"):
        encode_memcached_get(key)
    with pytest.raises(ValueError, match="not a key"):
        encode_memcached_set(key, b"", 0)
