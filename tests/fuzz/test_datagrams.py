"""Datagrams and answers that anybody may send: nothing but a refusal comes of them.

Right ones, damaged at a few places; two thirds of them so that lengths and numbers lie.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import cache_peers, snmp, subscription, upstream, values
from tests.fuzz.packets import damaged, uwsgi_block

INPUTS = int(os.environ.get("GEUWSGI_FUZZ_INPUTS", "4000")) // 4
SEED = int(os.environ.get("GEUWSGI_FUZZ_SEED", "1"))

_SNMP = bytes.fromhex(
    "302602010104067075626c6963a019020101020100020100300e300c06082b060102010101000500"
)
_ANNOUNCEMENT = subscription.encode_announcement(
    subscription.Announcement("a.test", "127.0.0.1:80", cores=4, load=2, unix=9)
)
_CHANGE = cache_peers.encode_change(cache_peers.Change(b"key", b"value", 60))


def _snmp(octets: bytes) -> None:
    snmp.encode_answer(snmp.decode_request(octets), {(1, 3, 6, 1): (0x41, 5)})


def _upstream(octets: bytes) -> None:
    head = upstream.parse_response_head(octets)
    assert "\r" not in head.status
    assert "\n" not in head.status


DECODERS: dict[str, tuple[Callable[[bytes], object], tuple[bytes, ...]]] = {
    "snmp": (_snmp, (_SNMP, _SNMP.replace(b"\xa0", b"\xa1"), _SNMP[:9])),
    "announcement": (subscription.decode_announcement, (_ANNOUNCEMENT,)),
    "cache peer": (cache_peers.decode_change, (_CHANGE, _CHANGE + _CHANGE)),
    "memcached": (
        values.decode_memcached_get,
        (b"VALUE k 0 5\r\nabcde\r\nEND\r\n", b"END\r\n", b"VALUE k 0 99999999999\r\n"),
    ),
    "redis": (
        values.decode_redis_get,
        (b"$5\r\nabcde\r\n", b"$-1\r\n", b"-ERR x\r\n", b"$99999999999999999999\r\n"),
    ),
    "backend": (
        _upstream,
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n",
            b"HTTP/1.0 204\r\n\r\n",
        ),
    ),
}


@pytest.mark.timeout(24 * 3600)
@pytest.mark.parametrize("name", list(DECODERS))
def test_what_is_damaged_is_refused_or_read(name: str) -> None:
    decode, good = DECODERS[name]
    random = Random(f"{SEED} {name}")
    for octets in good[:1]:
        decode(octets)
    for _ in range(INPUTS):
        octets = random.choice(good)
        if random.random() < 0.2:
            octets = octets[: random.randrange(5)] + uwsgi_block(random)
        for _ in range(random.choice((1, 1, 2, 4))):
            octets = damaged(random, octets)
        try:
            decode(octets)
        except RemoteProtocolError:
            continue
