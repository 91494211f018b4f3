"""Announcements of instances, as bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.subscription import (
    Announcement,
    decode_announcement,
    encode_announcement,
    encode_block,
)
from geuwsgi.protocol.uwsgi import encode_packet, encode_vars


def packet(
    variables: dict[str, str], modifier1: int = 224, modifier2: int = 0
) -> bytes:
    block = encode_vars({k.encode(): v.encode() for k, v in variables.items()})
    return encode_packet(modifier1, block, modifier2)


GOOD = {"key": "a.test", "address": "127.0.0.1:3031"}


def test_what_a_uwsgi_sends_is_understood() -> None:
    # The variables of uWSGI 2.0.31, in its order.
    told = decode_announcement(
        packet(
            {
                **GOOD,
                "modifier1": "5",
                "modifier2": "6",
                "cores": "10",
                "load": "2",
                "weight": "3",
                "sni_key": "/k",
                "sni_crt": "/c",
                "notify": "/run/n",
            }
        )
    )
    assert (told.key, told.address, told.leaves) == ("a.test", "127.0.0.1:3031", False)
    assert (told.modifier1, told.modifier2, told.weight) == (5, 6, 3)
    assert (told.cores, told.load, told.notify) == (10, 2, "/run/n")
    assert (told.sni_key, told.sni_certificate) == ("/k", "/c")
    assert decode_announcement(packet(GOOD, modifier2=1)).leaves


def test_an_announcement_comes_back_as_it_was() -> None:
    told = Announcement(
        "a.test", "/run/a.sock", True, 1, 2, 3, 4, 5, 6, "http", "lrc", 1, True, "v"
    )
    assert decode_announcement(encode_announcement(told)) == told


def test_a_signature_covers_all_that_stands_before_it() -> None:
    told = Announcement("a.test", "h:1", unix=7, signature=b"\x00\xff sign")
    heard = decode_announcement(encode_announcement(told))
    assert heard.signature == told.signature
    assert heard.signed == encode_block(told)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xe0",
        packet(GOOD, modifier1=0),
        packet(GOOD, modifier2=2),
        packet(GOOD)[:-1],
        packet(GOOD) + b"x",
        packet({"key": "a"}),
        packet({"address": "a:1"}),
        packet({**GOOD, "key": ""}),
        packet({**GOOD, "key": "k" * 256}),
        packet({**GOOD, "address": "/" * 256}),
        packet({**GOOD, "key": "a\nb"}),
        packet({**GOOD, "notify": "/a\0b"}),
        packet({**GOOD, "weight": "-1"}),
        packet({**GOOD, "weight": "9" * 30}),
        packet({**GOOD, "modifier1": "256"}),
        packet({**GOOD, "cores": "1_0"}),
        packet({**GOOD, "sign": "s", "weight": "1"}),
        packet({"": "x", **GOOD}),
    ],
)
def test_what_is_malformed_is_refused(octets: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_announcement(octets)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(block: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        decode_announcement(encode_packet(224, block))
