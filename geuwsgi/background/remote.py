"""Signals and remote calls to other servers, over the uwsgi protocol."""

from __future__ import annotations

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import uwsgi
from geuwsgi.shared.client import ask

# modifier2 of an answer that carries its length in a dictionary.
_LARGE = 5
_ACCEPTED = bytes((255, 0, 0, 1))


class RemoteRefused(Exception):
    """The other server answered that it does not do what was asked."""


def send_signal(address: str, signal: int) -> None:
    """Raise a signal on another server. Blocks the calling greenlet.

    Raises OSError if it cannot be reached, RemoteRefused if it knows no such signal.
    """
    packet = uwsgi.encode_packet(uwsgi.SIGNAL, b"", signal)
    if ask(address, packet)[:4] != _ACCEPTED:
        raise RemoteRefused(f"{address} does not know signal {signal}")


def call(address: str, name: bytes, arguments: list[bytes]) -> bytes:
    """Call a function on another server; return what it returns.

    Blocks the calling greenlet. Raises OSError or RemoteProtocolError. A function that
    does not exist and one that returns nothing look the same: ``b""``.
    """
    block = uwsgi.encode_array([name, *arguments])
    return decode_reply(ask(address, uwsgi.encode_packet(uwsgi.RPC, block)))


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
