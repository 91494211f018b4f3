from __future__ import annotations

import random

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.snmp import (
    COUNTER32,
    COUNTER64,
    GAUGE32,
    GET,
    GET_BULK,
    GET_NEXT,
    V1,
    V2C,
    Name,
    Number,
    Request,
    decode_request,
    encode_answer,
)

BASE: Name = (1, 3, 6, 1, 4, 1, 35156, 17)
ONE_ONE: Name = (*BASE, 1, 1)
TREE: dict[Name, Number] = {
    ONE_ONE: (COUNTER64, (1 << 64) - 1),
    (*BASE, 2, 1): (COUNTER32, 127),
    (*BASE, 2, 2): (GAUGE32, 128),
    (*BASE, 10, 300): (COUNTER64, 0),
}


def encode(tag: int, contents: bytes) -> bytes:
    assert len(contents) < 0x80
    return bytes((tag, len(contents))) + contents


def request(
    kind: int, *tails: bytes, version: int = V2C, first: int = 0, second: int = 0
) -> bytes:
    """A request for names that are BASE and a tail."""
    base = b"\x2b\x06\x01\x04\x01\x82\x92\x54\x11"
    names = b"".join(encode(0x30, encode(6, base + tail) + b"\5\0") for tail in tails)
    numbers = b"\2\2\1\2" + encode(2, bytes((first,))) + encode(2, bytes((second,)))
    body = numbers + encode(0x30, names)
    text = encode(2, bytes((version,))) + encode(4, b"public") + encode(kind, body)
    return encode(0x30, text)


def test_a_request_says_what_is_asked_by_whom() -> None:
    decoded = decode_request(request(GET, b"\1\1", b"\2"))
    assert decoded == Request(V2C, b"public", GET, 0x102, [ONE_ONE, (*BASE, 2)])
    bulk = decode_request(request(GET_BULK, b"", first=1, second=9))
    assert (bulk.non_repeaters, bulk.repetitions, bulk.names) == (1, 9, [BASE])


def pairs_of(answer: bytes) -> bytes:
    """What follows the head of a short answer."""
    head = b"public\xa2"
    return answer[answer.index(head) + len(head) + 1 :]


def test_numbers_are_encoded_as_their_kind() -> None:
    name = b"\x2b\x06\x01\x04\x01\x82\x92\x54\x11"
    asked = decode_request(request(GET, b"\1\1", b"\2\1", b"\2\2", b"\x0a\x82\x2c"))
    assert asked.names[-1] == (*BASE, 10, 300)
    answer = encode_answer(asked, TREE)
    for pair in (
        b"\x06\x0b" + name + b"\1\1" + b"\x46\x09\0" + b"\xff" * 8,
        b"\x06\x0b" + name + b"\2\1" + b"\x41\1\x7f",
        b"\x06\x0b" + name + b"\2\2" + b"\x42\2\0\x80",
        b"\x06\x0c" + name + b"\x0a\x82\x2c" + b"\x46\1\0",
    ):
        assert bytes((0x30, len(pair))) + pair in answer


def test_a_name_that_is_missing_is_told_as_the_version_has_it() -> None:
    second = encode_answer(decode_request(request(GET, b"\x7f")), TREE)
    assert second.endswith(b"\x81\0")
    first = decode_request(request(GET, b"\1\1", b"\x7f", version=V1))
    answer = pairs_of(encode_answer(first, TREE))
    # No such name, the second one; and what was asked comes back.
    assert answer.startswith(b"\2\2\1\2\2\1\2\2\1\2")
    assert answer.count(b"\5\0") == 2


def names_in(answer: bytes, tree: dict[Name, Number]) -> list[Name]:
    """The names of a tree that an answer has, in their order there."""
    found = []
    for name in tree:
        single = encode_answer(Request(V2C, b"", GET, 0, [name]), tree)
        pair = single[single.rindex(b"\x06") :]
        if pair in answer:
            found.append((answer.index(pair), name))
    return [name for _, name in sorted(found)]


def test_get_next_walks_the_whole_tree() -> None:
    name, seen = BASE, []
    for _ in TREE:
        answer = encode_answer(Request(V2C, b"", GET_NEXT, 1, [name]), TREE)
        (name,) = names_in(answer, TREE)
        seen.append(name)
    assert seen == sorted(TREE)
    end = encode_answer(Request(V2C, b"", GET_NEXT, 1, [name]), TREE)
    assert end.endswith(b"\x82\0")


def test_get_bulk_takes_many_steps_at_once_up_to_what_a_datagram_holds() -> None:
    some = Request(V2C, b"", GET_BULK, 1, [BASE, BASE], 1, 2)
    assert names_in(encode_answer(some, TREE), TREE) == sorted(TREE)[:2]
    tree = {(*BASE, 3, number): (COUNTER64, number) for number in range(1000)}
    answer = encode_answer(Request(V2C, b"", GET_BULK, 1, [BASE], 0, 500), tree)
    assert 1300 < len(answer) < 1500


def test_what_is_no_request_is_refused() -> None:
    whole = request(GET, b"\1\1")
    generator = random.Random(3)
    for end in range(len(whole)):
        with pytest.raises(RemoteProtocolError):
            decode_request(whole[:end])
    for _ in range(5000):
        broken = bytearray(whole)
        broken[generator.randrange(len(broken))] = generator.randrange(256)
        try:
            answer = encode_answer(decode_request(bytes(broken)), TREE)
        except RemoteProtocolError:
            continue
        assert len(answer) < 1500


@pytest.mark.parametrize(
    "datagram",
    [
        request(GET, b"\1\1", version=3),
        request(0xA3, b"\1\1"),
        request(GET_BULK, b"\1\1", version=V1),
        request(GET, b"\1\x81"),
        b"\x30\x80",
        b"\x30\x85\0\0\0\0\0",
    ],
)
def test_other_versions_kinds_and_forms_are_refused(datagram: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_request(datagram)
