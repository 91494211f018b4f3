"""Heads between HTTP/2 and HTTP/1.1."""

from __future__ import annotations

import pytest

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.server.http2.heads import Field, request_head, response_fields

BASE: list[Field] = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"a.test"),
    (b":path", b"/x?y"),
]


def test_a_request_becomes_a_head() -> None:
    fields = [*BASE, (b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2")]
    assert request_head(fields) == (
        b"GET /x?y HTTP/1.1\r\nhost: a.test\r\ncookie: a=1; b=2\r\naccept: */*"
    )


def test_host_stands_in_for_a_missing_authority() -> None:
    fields = [field for field in BASE if field[0] != b":authority"]
    assert b"host: b.test" in request_head([*fields, (b"host", b"b.test")])
    with pytest.raises(RemoteProtocolError):
        request_head(fields)


def test_the_authority_counts_if_host_says_otherwise() -> None:
    head = request_head([*BASE, (b"host", b"evil.test")])
    assert b"evil" not in head


@pytest.mark.parametrize(
    "field",
    [
        (b"connection", b"close"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"websocket"),
        (b"x", b"a\r\nx-evil: 1"),
        (b"x", b"a\nb"),
        (b"x\r\ny", b"a"),
        (b"host:evil", b"a"),
    ],
)
def test_what_smuggles_is_refused(field: Field) -> None:
    with pytest.raises(RemoteProtocolError):
        request_head([*BASE, field])


@pytest.mark.parametrize("missing", [b":method", b":path"])
def test_a_request_without_its_line_is_refused(missing: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        request_head([field for field in BASE if field[0] != missing])


def test_a_response_is_taken_apart() -> None:
    head = b"HTTP/2.0 404 Not Found\r\nX-Name: a: b\r\nConnection: close\r\nEmpty:"
    assert response_fields(head) == [
        (b":status", b"404"),
        (b"x-name", b"a: b"),
        (b"empty", b""),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b":path", b"http://evil.test/"),
        (b":path", b"x"),
        (b":path", b"*x"),
        (b":scheme", b"ftp"),
        (b":scheme", b"http://evil.test/?"),
    ],
)
def test_a_line_that_http2_cannot_have_is_refused(name: bytes, value: bytes) -> None:
    fields = [(key, value if key == name else text) for key, text in BASE]
    with pytest.raises(RemoteProtocolError):
        request_head(fields)
