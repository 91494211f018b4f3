"""The opening handshake (RFC 6455 §4.2), from header values to the 101 response.

Pure: it gets the values of the headers as the environ holds them and returns text.
A request that cannot become a websocket is refused with the status and the headers
the client needs to know why (426 and the version it should speak).
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import Final

from geuwsgi.errors import LocalProtocolError, RemoteProtocolError

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = "13"
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class HandshakeRefused(RemoteProtocolError):
    """The request cannot become a websocket; ``headers`` belong to the answer."""

    def __init__(
        self, message: str, status: int = 400, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message, status)
        self.headers = tuple(headers)


def asks_for_websocket(environ: Mapping[str, object]) -> bool:
    """Whether a request asks to be upgraded; says nothing about its validity."""
    upgrade = environ.get("HTTP_UPGRADE")
    return isinstance(upgrade, str) and "websocket" in _tokens(upgrade)


def check_request(environ: Mapping[str, object]) -> str:
    """Return the key of a valid handshake request.

    Raises ``HandshakeRefused`` if the request is not one.
    """
    if environ.get("REQUEST_METHOD") != "GET":
        raise HandshakeRefused("websocket handshake is not a GET request")
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        raise HandshakeRefused("websocket handshake over HTTP/1.0")
    # A client that is told to upgrade (426) needs the header even then.
    if not asks_for_websocket(environ):
        raise HandshakeRefused(
            "request does not ask for a websocket",
            426,
            [("Upgrade", "websocket"), ("Connection", "Upgrade")],
        )
    connection = environ.get("HTTP_CONNECTION", "")
    if "upgrade" not in _tokens(str(connection)):
        raise HandshakeRefused(f"Connection without upgrade: {connection!r}")
    version = environ.get("HTTP_SEC_WEBSOCKET_VERSION", "")
    if version != _VERSION:
        raise HandshakeRefused(
            f"unsupported websocket version: {version!r}",
            426,
            [
                ("Sec-WebSocket-Version", _VERSION),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
            ],
        )
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY")
    if not isinstance(key, str) or not is_key(key):
        raise HandshakeRefused(f"malformed Sec-WebSocket-Key: {key!r}")
    return key


def is_key(key: str) -> bool:
    """Whether ``key`` is the base64 of 16 bytes, as RFC 6455 §4.1 asks."""
    if len(key) != 24:
        return False
    try:
        return len(b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def accept_value(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` that proves we read ``key``."""
    digest = sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return b64encode(digest).decode("ascii")


def offered_subprotocols(header: str) -> list[str]:
    """Return the subprotocols of a ``Sec-WebSocket-Protocol`` header, in order.

    Raises ``HandshakeRefused`` if it is not a list of tokens.
    """
    names = [name for part in header.split(",") if (name := part.strip(" \t"))]
    for name in names:
        if _TOKEN.fullmatch(name) is None:
            raise HandshakeRefused(f"malformed Sec-WebSocket-Protocol: {header!r}")
    return names


def select_subprotocol(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """Return the first of our subprotocols that the client offered, or None."""
    for name in supported:
        if name in offered:
            return name
    return None


def response_head(
    accept: str,
    *,
    subprotocol: str | None = None,
    extensions: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return the 101 response.

    Without a subprotocol no such header is sent: browsers fail the connection if
    they get one they did not ask for. Raises ``LocalProtocolError`` if one of
    ``headers`` would break the head apart.
    """
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    if subprotocol is not None:
        lines.append(_field("Sec-WebSocket-Protocol", subprotocol))
    if extensions is not None:
        lines.append(_field("Sec-WebSocket-Extensions", extensions))
    lines.extend(_field(name, value) for name, value in headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _field(name: str, value: str) -> str:
    if _TOKEN.fullmatch(name) is None or _FIELD_VALUE.fullmatch(value) is None:
        raise LocalProtocolError(f"header cannot be sent: {name!r}: {value!r}")
    return f"{name}: {value}"


def _tokens(value: str) -> list[str]:
    return [token.strip(" \t").lower() for token in value.split(",")]
