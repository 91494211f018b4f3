"""The PROXY protocol."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.proxy import (
    MAX_V1,
    SIGNATURE,
    ProxyHeader,
    decode_proxy_header,
    encode_proxy_header,
    may_be_proxy_header,
)

V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n"


def v2(command: int, family: int, block: bytes) -> bytes:
    size = len(block).to_bytes(2, "big")
    return SIGNATURE + bytes((0x20 | command, family << 4 | 1)) + size + block


def inet(source: str, destination: str, *ports: int) -> bytes:
    return (
        ipaddress.ip_address(source).packed
        + ipaddress.ip_address(destination).packed
        + b"".join(port.to_bytes(2, "big") for port in ports)
    )


@pytest.mark.parametrize(
    ("received", "header"),
    [
        (V1, ProxyHeader(len(V1), "192.0.2.1", 51234, "198.51.100.2", 443)),
        (
            b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n",
            ProxyHeader(32, "2001:db8::1", 1, "::1", 2),
        ),
        (b"PROXY UNKNOWN\r\n", ProxyHeader(15)),
        (b"PROXY UNKNOWN ffff::1 rest 1 2\r\n", ProxyHeader(32)),
        (
            v2(1, 1, inet("192.0.2.1", "198.51.100.2", 51234, 443)),
            ProxyHeader(28, "192.0.2.1", 51234, "198.51.100.2", 443),
        ),
        (
            v2(1, 2, inet("2001:db8::1", "::1", 1, 2) + b"\x03\x00\x04tlvs"),
            ProxyHeader(16 + 36 + 7, "2001:db8::1", 1, "::1", 2),
        ),
        (v2(0, 0, b""), ProxyHeader(16)),
        (v2(0, 1, inet("192.0.2.1", "198.51.100.2", 1, 2)), ProxyHeader(28)),
        (v2(1, 3, b"\0" * 216), ProxyHeader(232)),
    ],
)
def test_a_header_is_read_whole_and_with_what_follows(
    received: bytes, header: ProxyHeader
) -> None:
    assert decode_proxy_header(received) == header
    assert decode_proxy_header(received + b"GET / HTTP/1.1") == header
    for end in range(len(received)):
        assert may_be_proxy_header(received[:end])
        assert decode_proxy_header(received[:end]) is None


@pytest.mark.parametrize(
    "received",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\n\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 51234\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 99999 443\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 01 443\r\n",
        b"PROXY TCP4 192.0.2.999 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY " + b"x" * MAX_V1,
        SIGNATURE + b"\x11\x11\x00\x00",
        SIGNATURE + b"\x22\x11\x00\x00",
        SIGNATURE + b"\x21\x11\x00\x03abc",
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x21\x41\x00\x00",
        SIGNATURE + b"\x21\x13\x00\x00",
        b"\r\n\r\n\x00\r\nQUIX\n",
    ],
)
def test_what_is_no_header_is_refused(received: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_proxy_header(received)


def test_the_first_bytes_tell_whether_a_header_may_come() -> None:
    assert may_be_proxy_header(b"PRO")
    assert may_be_proxy_header(b"\r\n\r\n")
    assert not may_be_proxy_header(b"PRI * HTTP/2.0\r\n\r\n")
    assert not may_be_proxy_header(b"POST /")


@given(st.binary(max_size=300))
def test_rubbish_never_does_worse_than_being_refused(octets: bytes) -> None:
    for beginning in (b"", b"PROXY ", SIGNATURE + b"\x21\x11"):
        try:
            header = decode_proxy_header(beginning + octets)
        except RemoteProtocolError:
            continue
        assert header is None or header.length <= len(beginning + octets)


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        (("10.0.0.1", 5), ("10.0.0.2", 80)),
        (("fe80::1%eth0", 5), ("::1", 80)),
    ],
)
def test_a_header_that_was_written_is_read(
    source: tuple[str, int], destination: tuple[str, int]
) -> None:
    line = encode_proxy_header(source, destination)
    header = decode_proxy_header(line + b"GET")
    assert header is not None
    assert header.length == len(line)
    assert (header.source, header.source_port) == (source[0].partition("%")[0], 5)
    assert (header.destination, header.destination_port) == destination


def test_a_connection_without_addresses_is_of_an_unknown_client() -> None:
    line = encode_proxy_header(None, None)
    header = decode_proxy_header(line)
    assert header is not None
    assert (header.length, header.source) == (len(line), "")
