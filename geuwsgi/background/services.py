"""What uwsgi sockets answer besides requests: caches, remote calls, signals, pings.

Each is a modifier1. Peers on this machine may use them; others only if an option lists
their address or network, because nothing in the protocol says who asks.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from geuwsgi.background.remote import encode_reply
from geuwsgi.cache import service as cache_service
from geuwsgi.cache.peers import dump
from geuwsgi.errors import ConfigError, Disconnected, RemoteProtocolError
from geuwsgi.protocol import cache_messages, uwsgi
from geuwsgi.protocol.cache_peers import DUMP

if TYPE_CHECKING:
    import _socket

    from geuwsgi.background.rpc import RpcTable
    from geuwsgi.background.signals import SignalRouter
    from geuwsgi.cache.caches import Caches

_READ_SIZE = 65536
_GENERIC = 255

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Stream(Protocol):
    """The part of a connection's stream that is used here."""

    @property
    def socket(self) -> _socket.socket: ...

    def recv(self, size: int) -> bytes: ...

    def send_all(self, octets: bytes) -> None: ...


class Packets:
    """Answers packets whose modifier1 is not 0. One for each worker.

    ``handle`` is called with a connection's stream, modifier1 and what was received so
    far, from the packet's first byte; the caller closes the connection afterwards.
    """

    def __init__(
        self,
        *,
        caches: Caches,
        rpc: RpcTable,
        warning: Callable[[], bytes] = bytes,
        router: SignalRouter | None,
        allowed: Iterable[Network] = (),
        report: Callable[[str], object],
    ) -> None:
        self._caches = caches
        self._rpc = rpc
        self._router = router
        self._allowed = tuple(allowed)
        self._report = report
        self._services: dict[int, Callable[[Stream, int, bytes, bytes], bytes]] = {
            uwsgi.PING: self._ping,
            uwsgi.SIGNAL: self._signal,
            uwsgi.CACHE: self._cache,
            uwsgi.RPC: self._remote_call,
        }
        self._warning = warning

    @property
    def modifiers(self) -> tuple[int, ...]:
        return tuple(self._services)

    def handle(self, stream: Stream, received: bytes) -> None:
        """Answer one packet. Blocks; raises Disconnected as the stream does."""
        modifier1, size, modifier2 = uwsgi.decode_header(received)
        peer = _peer(stream.socket)
        if modifier1 != uwsgi.PING and not self._may_ask(peer):
            self._report(f"{peer} may not use modifier {modifier1} here")
            return
        end = uwsgi.HEADER_SIZE + size
        while len(received) < end:
            more = stream.recv(_READ_SIZE)
            if not more:
                return
            received += more
        block, rest = received[uwsgi.HEADER_SIZE : end], received[end:]
        try:
            answer = self._services[modifier1](stream, modifier2, block, rest)
        except RemoteProtocolError as exc:
            self._report(f"{peer}: {exc}")
            return
        if answer:
            stream.send_all(answer)

    def _may_ask(self, peer: str) -> bool:
        if not peer:
            return True  # a Unix socket: its mode decides
        address = ipaddress.ip_address(peer)
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        return address.is_loopback or any(
            address in network for network in self._allowed
        )

    def _ping(self, stream: Stream, form: int, block: bytes, rest: bytes) -> bytes:
        return uwsgi.encode_packet(uwsgi.PING, self._warning(), 1)

    def _signal(self, stream: Stream, signal: int, block: bytes, rest: bytes) -> bytes:
        sent = self._router is not None and self._router.send(signal)
        return uwsgi.encode_packet(_GENERIC, b"", int(sent))

    def _cache(self, stream: Stream, form: int, block: bytes, rest: bytes) -> bytes:
        if form == DUMP:
            cache = self._caches.local(block.decode("utf-8", "replace"))
            for piece in () if cache is None else dump(cache):
                stream.send_all(piece)
            return b""
        request = cache_messages.decode_request(form, block)
        if request.size:
            if request.size > cache_service.largest_value(self._caches, request):
                return b""
            while len(rest) < request.size:
                more = stream.recv(_READ_SIZE)
                if not more:
                    return b""
                rest += more
            request.value = rest[: request.size]
        return cache_service.answer(self._caches, request)

    def _remote_call(
        self, stream: Stream, form: int, block: bytes, rest: bytes
    ) -> bytes:
        if form:
            raise RemoteProtocolError(f"a remote call in the form {form}")
        items = uwsgi.decode_array(block)
        if not items:
            raise RemoteProtocolError("a remote call without a name")
        return encode_reply(self._rpc.call(items[0], items[1:]) or b"")


def parse_network(text: str) -> Network:
    """Return the network or single address that an option names.

    Raises ConfigError.
    """
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as exc:
        raise ConfigError(f"{text!r} is no address and no network") from exc


def _peer(sock: _socket.socket) -> str:
    """Return the peer's address without port, ``""`` on a Unix socket.

    Raises Disconnected if the peer has reset the connection: it has none any more.
    """
    if sock.family == socket.AF_UNIX:
        return ""
    try:
        return str(sock.getpeername()[0])
    except OSError as exc:
        raise Disconnected(exc.strerror or str(exc)) from exc
