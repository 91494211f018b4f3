"""Accept-Encoding."""

from __future__ import annotations

import pytest

from geuwsgi.server.static.coding import accepted_codings


@pytest.mark.parametrize(
    ("field", "codings"),
    [
        ("", []),
        ("gzip", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("GZIP", ["gzip"]),
        ("gzip, deflate, br, zstd", ["br", "zstd", "gzip"]),
        ("gzip;q=1.0, br;q=0.5", ["gzip", "br"]),
        ("gzip;q=0, br", ["br"]),
        ("gzip ; q=0.000", []),
        ("*", ["br", "zstd", "gzip"]),
        ("*;q=0", []),
        ("*, br;q=0", ["zstd", "gzip"]),
        ("identity", []),
        ("identity;q=1, gzip;q=0.5", []),
        ("identity;q=0.5, gzip", ["gzip"]),
        ("gzip;q=2", []),
        ("gzip;level=9, br", ["br"]),
        ("deflate", []),
    ],
)
def test_codings_are_ordered_by_what_the_client_prefers(
    field: str, codings: list[str]
) -> None:
    assert [coding for coding, _ in accepted_codings(field)] == codings
