"""Packets that are almost right, read by us and by a second, simple reading.

Each input must be read the same or refused by both, whole and in any pieces, and
nothing but RemoteProtocolError may come out. ``GEUWSGI_FUZZ_INPUTS`` and
``GEUWSGI_FUZZ_SEED``: as for HTTP.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import cache_messages, fastcgi, proxy, scgi, uwsgi
from tests.fuzz import models, packets

INPUTS = int(os.environ.get("GEUWSGI_FUZZ_INPUTS", "4000"))
SEED = int(os.environ.get("GEUWSGI_FUZZ_SEED", "1"))
LIMIT = 4096


def pairs_of(
    decode: Callable[[bytes, dict[str, object]], int], block: bytes
) -> dict[str, object] | None:
    environ: dict[str, object] = {}
    try:
        decode(block, environ)
    except RemoteProtocolError:
        return None
    return environ


def uwsgi_differs(random: Random) -> object:
    block = packets.uwsgi_block(random)
    ours = pairs_of(uwsgi.decode_vars, block)
    if ours != models.uwsgi_vars(block):
        return block, ours
    items: list[bytes] | None
    try:
        items = uwsgi.decode_array(block)
    except RemoteProtocolError:
        items = None
    return None if items == models.uwsgi_items(block) else (block, items)


def cache_differs(random: Random) -> object:
    form, block = packets.cache_message(random)
    model = models.cache_request(form, block)
    try:
        ours = cache_messages.decode_request(form, block)
    except RemoteProtocolError:
        return None if model is None else (form, block, model)
    same = model is not None and all(
        getattr(ours, name) == value for name, value in model.items()
    )
    return None if same else (form, block, ours, model)


def scgi_differs(random: Random) -> object:
    octets = packets.scgi_request(random)

    def read(octets: bytes) -> Any:
        try:
            found = scgi.find_block(octets, LIMIT)
        except RemoteProtocolError:
            return None
        if found is None:
            return models.CUT
        return pairs_of(scgi.decode_vars, octets[found[0] : found[1]])

    model = models.scgi_request(octets, LIMIT)
    ours = read(octets)
    if ours != model and not (ours is None and model == models.CUT):
        return octets, ours, model
    return _differs_in_pieces(random, octets, read, ours)


def _differs_in_pieces(
    random: Random, octets: bytes, read: Callable[[bytes], Any], whole: Any
) -> object:
    """Read the beginning of ``octets``: more is needed, or the end is told already."""
    for end in {random.randrange(len(octets) + 1), len(octets) - 1, len(octets) // 2}:
        part = read(octets[: max(end, 0)])
        if part not in (models.CUT, whole):
            return octets, end, part, whole
    return None


def fastcgi_differs(random: Random) -> object:
    block = packets.fastcgi_pairs(random)
    ours: Any = pairs_of(fastcgi.decode_pairs, block)
    if ours != models.fastcgi_pairs(block):
        return block, ours
    octets = packets.fastcgi_records(random)
    ours = records_of([octets])
    if ours != models.fastcgi_records(octets):
        return octets, ours
    at = random.randrange(len(octets) + 1)
    pieces = [octets[:at], octets[at:]]
    if random.random() < 0.05:
        pieces = [octets[n : n + 1] for n in range(len(octets))]
    return None if records_of(pieces) == ours else (octets, pieces)


def records_of(pieces: list[bytes]) -> tuple[list[tuple[int, int, bytes]], str | None]:
    buffer = b""
    records = []
    for piece in pieces:
        buffer += piece
        try:
            while (record := fastcgi.decode_record(buffer)) is not None:
                records.append((record.kind, record.request_id, record.content))
                buffer = buffer[record.end :]
        except RemoteProtocolError:
            return records, None
    return records, models.CUT


def proxy_reading(octets: bytes) -> Any:
    """What we read: None if it is refused, CUT if more is needed."""
    try:
        header = proxy.decode_proxy_header(octets)
    except RemoteProtocolError:
        return None
    if header is None:
        return models.CUT
    return (
        header.length,
        ipaddress.ip_address(header.source).packed if header.source else b"",
        header.source_port,
        ipaddress.ip_address(header.destination).packed if header.destination else b"",
        header.destination_port,
    )


def proxy_differs(random: Random) -> object:
    octets = packets.proxy_header(random)
    model = models.proxy_header(octets, proxy.MAX_V2)
    ours = proxy_reading(octets)
    if ours != model:
        return octets, ours, model
    if not proxy.may_be_proxy_header(octets) and ours is not None:
        return octets, "may be none"
    return _differs_in_pieces(random, octets, proxy_reading, ours)


FORMATS = {
    "uwsgi": uwsgi_differs,
    "cache": cache_differs,
    "scgi": scgi_differs,
    "fastcgi": fastcgi_differs,
    "proxy": proxy_differs,
}


@pytest.mark.timeout(24 * 3600)
@pytest.mark.parametrize("name", list(FORMATS))
def test_packets_are_read_as_the_simple_reading_reads_them(name: str) -> None:
    random = Random(SEED)
    differs = FORMATS[name]
    for _ in range(INPUTS):
        assert differs(random) is None
