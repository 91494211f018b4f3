from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import cache_messages as messages
from geuwsgi.protocol.cache_messages import CacheRequest
from geuwsgi.protocol.uwsgi import decode_header, encode_array

numbers = st.integers(-(10**18), 10**18)
requests = st.builds(
    CacheRequest,
    command=st.sampled_from(sorted(messages.COMMANDS)),
    key=st.binary(max_size=50),
    cache=st.text(max_size=10),
    size=st.integers(0, 10**9),
    expires=numbers,
    amount=numbers,
)


@given(requests)
def test_requests_survive_the_way(request: CacheRequest) -> None:
    packet = messages.encode_request(request)
    modifier1, size, modifier2 = decode_header(packet)
    assert (modifier1, size) == (111, len(packet) - 4)
    assert messages.decode_request(modifier2, packet[4:]) == request


@given(st.integers(0, 255), st.binary(max_size=60))
def test_garbage_is_refused_and_nothing_else_happens(form: int, block: bytes) -> None:
    try:
        request = messages.decode_request(form, block)
    except RemoteProtocolError:
        return
    assert request.command in messages.COMMANDS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([b"cmd", b"bogus"], "unknown cache command: 'bogus'"),
        ([b"key", b"a"], "unknown cache command: ''"),
        ([b"cmd", b"get", b"size", b"1x"], "malformed size in a cache message"),
        ([b"cmd", b"get", b"size", b"-1"], "a cache value of -1 bytes"),
        ([b"cmd", b"get", b"expires", b""], "malformed expires"),
        ([b"cmd"], "last key has no value"),
    ],
)
def test_what_is_wrong_is_said(fields: list[bytes], message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=message):
        messages.decode_request(messages.MAGIC, encode_array(fields))
    with pytest.raises(RemoteProtocolError):
        messages.decode_answer(encode_array(fields))


def test_old_forms_are_understood() -> None:
    assert messages.decode_request(0, b"key") == CacheRequest("get", b"key", form=0)
    assert messages.decode_request(5, b"key") == CacheRequest("get", b"key", form=5)
    assert messages.decode_request(2, b"key") == CacheRequest("del", b"key", form=2)
    block = encode_array([b"key", b"value", b"7"])
    assert messages.decode_request(1, block) == CacheRequest(
        "set", b"key", value=b"value", expires=7, form=1
    )
    with pytest.raises(RemoteProtocolError, match="of 1 items"):
        messages.decode_request(1, encode_array([b"key"]))


def test_answers_are_those_of_uwsgi() -> None:
    assert messages.encode_answer(17, b"hello") == (
        b"o\x15\x00\x11\x06\x00status\x02\x00ok\x04\x00size\x01\x005hello"
    )
    assert messages.encode_answer(17, None) == (
        b"o\x0c\x00\x11\x06\x00status\x02\x00ok"
    )
    assert messages.encode_answer(17, b"hel", 1795638100) == (
        b"o*\x00\x11\x06\x00status\x02\x00ok\x04\x00size\x01\x003"
        b"\x07\x00expires\n\x001795638100hel"
    )
    assert messages.encode_missing(17) == b""
    assert messages.encode_answer(5, b"v") == b"o\x00\x00\x01v"
    assert messages.encode_missing(5) == b"o\x00\x00\x00"
    assert messages.encode_answer(0, b"v") == b"o\x01\x00\x00v"
    assert messages.encode_answer(1, None) == b""


@given(st.binary(max_size=30), st.integers(0, 2**40))
def test_answers_survive_the_way(value: bytes, expires: int) -> None:
    packet = messages.encode_answer(messages.MAGIC, value, expires)
    end = 4 + decode_header(packet)[1]
    answer = messages.decode_answer(packet[4:end])
    assert (answer.size, answer.expires) == (len(value), expires)
    assert packet[end:] == value
