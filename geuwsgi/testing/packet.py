"""Requests in the uwsgi protocol, as a web server in front sends them.

A packet is four bytes, ``modifier1 (u8), length (u16 little endian), modifier2
(u8)``, then the variables: each name and value a u16 length and its bytes. The
body follows unframed; the answer is a plain HTTP response and the end of the
connection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from geuwsgi.testing.client import Client, Response

Vars = Mapping[str, str] | Iterable[tuple[str, str]]


def encode_vars(variables: Vars) -> bytes:
    """The block of variables, in order; repeated names stay repeated."""
    pairs = variables.items() if isinstance(variables, Mapping) else variables
    block = bytearray()
    for pair in pairs:
        for text in pair:
            encoded = text.encode("latin-1")
            block += struct.pack("<H", len(encoded)) + encoded
    return bytes(block)


def encode_packet(variables: Vars, *, modifier1: int = 0, modifier2: int = 0) -> bytes:
    """A whole packet; struct.error if the block is larger than 65535 bytes."""
    block = encode_vars(variables)
    return struct.pack("<BHB", modifier1, len(block), modifier2) + block


def web_server_vars(
    target: str = "/",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> dict[str, str]:
    """The variables that nginx's stock ``uwsgi_params`` sends for a request."""
    path, _, query = target.partition("?")
    variables = {
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "REQUEST_URI": target,
        "PATH_INFO": path,
        "DOCUMENT_ROOT": "/usr/share/nginx/html",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_SCHEME": "http",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "40000",
        "SERVER_PORT": "80",
        "SERVER_NAME": "localhost",
        "HTTP_HOST": "localhost",
    }
    for name, value in (headers or {}).items():
        variables["HTTP_" + name.upper().replace("-", "_")] = value
    return variables


def exchange_packet(
    address: str,
    variables: Vars,
    body: bytes = b"",
    *,
    modifier1: int = 0,
    modifier2: int = 0,
    timeout: float = 10.0,
) -> Response:
    """Send one request and return its response.

    Raises `MalformedResponse` if the server closes without an answer, which is how
    the uwsgi protocol refuses.
    """
    packet = encode_packet(variables, modifier1=modifier1, modifier2=modifier2)
    with Client(address, timeout) as client:
        client.send(packet + body)
        return client.read_response()
