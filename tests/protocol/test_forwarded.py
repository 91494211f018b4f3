"""Whose word about the client counts."""

from __future__ import annotations

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.protocol.forwarded import (
    Hop,
    TrustedProxies,
    client_of,
    parse_forwarded,
    parse_x_forwarded_for,
)

TRUSTED = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "127.0.0.1"])


@pytest.mark.parametrize(
    ("field", "hops"),
    [
        ("192.0.2.1", [Hop("192.0.2.1")]),
        ("192.0.2.1, 10.0.0.1", [Hop("192.0.2.1"), Hop("10.0.0.1")]),
        ("192.0.2.1:8080", [Hop("192.0.2.1")]),
        ("[2001:db8::1]:80", [Hop("2001:db8::1")]),
        ("2001:db8::1", [Hop("2001:db8::1")]),
        ("[2001:db8::1]", [Hop("2001:db8::1")]),
    ],
)
def test_x_forwarded_for_is_a_list(field: str, hops: list[Hop]) -> None:
    assert parse_x_forwarded_for(field) == hops


@pytest.mark.parametrize(
    ("field", "hops"),
    [
        ("for=192.0.2.1", [Hop("192.0.2.1")]),
        ("For=192.0.2.1;Proto=https", [Hop("192.0.2.1", "https")]),
        (
            'for="[2001:db8::1]:80";proto=https;host="a.test:1", for=10.0.0.1',
            [Hop("2001:db8::1", "https", "a.test:1"), Hop("10.0.0.1")],
        ),
        ("for=unknown, for=_hidden", [Hop("unknown"), Hop("_hidden")]),
        ('for="1.2.3.4', []),
        ("for", []),
        ("for=a b", []),
        ("", []),
    ],
)
def test_forwarded_is_parsed(field: str, hops: list[Hop]) -> None:
    assert parse_forwarded(field) == hops


@pytest.mark.parametrize(
    ("peer", "field", "client"),
    [
        ("192.0.2.9", "1.1.1.1", None),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "6.6.6.6, unknown", None),
        ("10.0.0.1", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8::5", "192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("", "192.0.2.1", None),
    ],
)
def test_the_client_is_the_last_hop_that_is_not_trusted(
    peer: str, field: str, client: str | None
) -> None:
    found = client_of(peer, parse_x_forwarded_for(field), TRUSTED)
    assert (found.address if found else None) == client


def test_scheme_and_host_come_with_the_hop_that_told_them() -> None:
    hops = parse_x_forwarded_for("192.0.2.1", scheme="https", host="a.test")
    assert client_of("10.0.0.1", hops, TRUSTED) == Hop("192.0.2.1", "https", "a.test")


def test_nobody_is_trusted_by_default() -> None:
    nobody = TrustedProxies([])
    assert not nobody
    assert client_of("127.0.0.1", [Hop("1.1.1.1")], nobody) is None


def test_a_malformed_network_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'10\.0\.0\.0/99'"):
        TrustedProxies(["10.0.0.0/99"])
