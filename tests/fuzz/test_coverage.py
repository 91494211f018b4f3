"""What a search for untried branches has left: few inputs that go all ways there are.

Found by atheris, which prefers inputs that reach code that no other did, and reduced
to those that each reach something of their own; one a line in ``tests/corpus/coverage``.
Each is read here as the other tests of this package read theirs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import cache_messages, fastcgi, proxy, scgi, uwsgi
from tests.fuzz import models
from tests.fuzz.readings import ORACLES, read_ours
from tests.fuzz.test_http1_against_others import decode_chunks, difference
from tests.fuzz.test_packets import pairs_of, proxy_reading, records_of
from tests.fuzz.test_websocket_against_others import differs_from_others
from tests.protocol.test_websocket_oracles import ours as read_frames

CORPUS = Path(__file__).parents[1] / "corpus" / "coverage"
LIMIT = 4096


def inputs(name: str) -> list[bytes]:
    lines = (CORPUS / f"{name}.txt").read_text("ascii").splitlines()
    return [line.encode().decode("unicode_escape").encode("latin-1") for line in lines]


def _pieces(octets: bytes) -> list[list[bytes]]:
    middle = len(octets) // 2
    return [
        [octets[:middle], octets[middle:]],
        [octets[at : at + 1] for at in range(len(octets))],
    ]


@pytest.mark.parametrize("name", list(ORACLES))
def test_heads(name: str) -> None:
    if name == "h1c":
        pytest.importorskip("gunicorn_h1c")
    for octets in inputs("http1"):
        found = difference(name, octets, read_ours(octets), ORACLES[name](octets))
        assert found is None, f"{found}\n{octets!r}"


def test_chunked_bodies() -> None:
    for octets in inputs("chunked"):
        whole = decode_chunks([octets])
        for pieces in _pieces(octets):
            assert decode_chunks(pieces) == whole, octets


def test_frames() -> None:
    for octets in inputs("websocket"):
        whole = read_frames([octets])
        for pieces in _pieces(octets):
            assert read_frames(pieces) == whole, octets
        assert differs_from_others(octets, whole) is None


def test_uwsgi_packets_and_messages_of_caches() -> None:
    for octets in inputs("uwsgi"):
        assert pairs_of(uwsgi.decode_vars, octets) == models.uwsgi_vars(octets)
        try:
            items: list[bytes] | None = uwsgi.decode_array(octets)
        except RemoteProtocolError:
            items = None
        assert items == models.uwsgi_items(octets), octets
        model = models.cache_request(octets[0], octets[1:]) if octets else None
        if model is None:
            if octets:
                with pytest.raises(RemoteProtocolError):
                    cache_messages.decode_request(octets[0], octets[1:])
            continue
        read = cache_messages.decode_request(octets[0], octets[1:])
        assert {key: getattr(read, key) for key in model} == model, octets


def test_scgi() -> None:
    for octets in inputs("scgi"):
        model = models.scgi_request(octets, LIMIT)
        try:
            found = scgi.find_block(octets, LIMIT)
        except RemoteProtocolError:
            assert model in (None, models.CUT), octets
            continue
        if found is None:
            assert model == models.CUT, octets
        else:
            assert pairs_of(scgi.decode_vars, octets[found[0] : found[1]]) == model


def test_fastcgi() -> None:
    for octets in inputs("fastcgi"):
        assert pairs_of(fastcgi.decode_pairs, octets) == models.fastcgi_pairs(octets)
        whole = records_of([octets])
        assert whole == models.fastcgi_records(octets), octets
        for pieces in _pieces(octets):
            assert records_of(pieces) == whole, octets


def test_proxy_headers() -> None:
    for octets in inputs("proxy"):
        model = models.proxy_header(octets, proxy.MAX_V2)
        assert proxy_reading(octets) == model, octets
