"""The packets that answer remote calls."""

from __future__ import annotations

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import uwsgi

# modifier2 of an answer that carries its length in a dictionary.
_LARGE = 5


def decode_reply(received: bytes) -> bytes:
    """Return the result in the reply to a remote call."""
    if not received:
        return b""
    if len(received) < uwsgi.HEADER_SIZE or received[0] != uwsgi.RPC:
        raise RemoteProtocolError(f"a reply that begins {received[:8]!r}")
    _, size, form = uwsgi.decode_header(received)
    rest = received[uwsgi.HEADER_SIZE + size :]
    block = received[uwsgi.HEADER_SIZE : uwsgi.HEADER_SIZE + size]
    if len(block) < size:
        raise RemoteProtocolError("a reply that was cut short")
    if form != _LARGE:
        return block
    variables: dict[str, object] = {}
    uwsgi.decode_vars(block, variables)
    length = str(variables.get("CONTENT_LENGTH", ""))
    if not length.isdigit() or len(rest) < int(length):
        raise RemoteProtocolError("a large reply that was cut short")
    return rest[: int(length)]


def encode_reply(result: bytes) -> bytes:
    """Return the packet that answers a remote call; nothing for no result."""
    if not result:
        return b""
    if len(result) <= 0xFFFF:
        return uwsgi.encode_packet(uwsgi.RPC, result)
    block = uwsgi.encode_vars({b"CONTENT_LENGTH": b"%d" % len(result)})
    return uwsgi.encode_packet(uwsgi.RPC, block, _LARGE) + result
