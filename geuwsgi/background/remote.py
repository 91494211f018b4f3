"""Signals and remote calls to other servers, over the uwsgi protocol."""

from __future__ import annotations

from geuwsgi.background.replies import decode_reply, encode_reply
from geuwsgi.protocol import uwsgi
from geuwsgi.shared.client import ask

__all__ = ["RemoteRefused", "call", "decode_reply", "encode_reply", "send_signal"]

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
