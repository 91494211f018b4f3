"""Naming what came to the wrong socket."""

from __future__ import annotations

import pytest

from geuwsgi.protocol.fastcgi import encode_record
from geuwsgi.protocol.foreign import name_protocol
from geuwsgi.protocol.uwsgi import encode_packet, encode_vars

KNOWN = {
    b"GET / HTTP/1.1\r\n": "an HTTP request",
    b"OPTIONS * HTTP/1.1\r\n": "an HTTP request",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "an HTTP/2 connection",
    b"\x16\x03\x01\x02\x00\x01": "a TLS handshake",
    b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n": "a PROXY header",
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c": "a PROXY header",
    b"SSH-2.0-OpenSSH_9.9\r\n": "an SSH connection",
    encode_record(1, 1, bytes(8)): "a FastCGI record",
    encode_record(9, 0, b""): "a FastCGI record",
    b"24:CONTENT_LENGTH\x000\x00SCGI\x001\x00,": "an SCGI request",
    encode_packet(0, encode_vars({b"PATH_INFO": b"/"})): "a uwsgi packet",
    b"\xff\xff\xff\xff\xff\xff": "",
    b"hello\r\n": "",
    b"": "",
}


@pytest.mark.parametrize(("received", "name"), KNOWN.items())
def test_protocols_are_known_by_their_first_bytes(received: bytes, name: str) -> None:
    assert name_protocol(received) == name
