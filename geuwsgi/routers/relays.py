"""Connections joined with backends: the fastrouter, the rawrouter, the sslrouter.

They differ in how a connection *opens*: what its key is, and what the backend hears
first. After that bytes go both ways until both ends have said all. A backend that
cannot be reached is left alone for a while and the next one is tried; so is one that
says nothing to a request that may be repeated.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent

from geuwsgi.errors import Disconnected, PeerTimeout, RemoteProtocolError
from geuwsgi.net.stream import Stream
from geuwsgi.net.tls import ServerContexts, choose_by_name
from geuwsgi.net.tlsstream import TlsStream
from geuwsgi.offload.upstream import Connector, Upstream, UpstreamError
from geuwsgi.protocol.proxy import encode_proxy_header
from geuwsgi.protocol.uwsgi import (
    HEADER_SIZE,
    decode_header,
    decode_vars,
    encode_packet,
)

if TYPE_CHECKING:
    from geuwsgi.net.server import Accepted
    from geuwsgi.routers.nodes import Node
    from geuwsgi.routers.routes import Routes

BLOCK = 65536

#: Seconds a connection may take to say what it wants.
_OPENING_S = 30.0

#: What a client may still send when its backend has said all, before it is reset.
_LINGER_S = 5.0
_LINGER_BYTES = 1 << 26

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", ""})


@dataclass(slots=True)
class Opened:
    """What a connection wants.

    ``first`` makes the bytes that a node gets before anything else; ``body`` is what
    was buffered of the rest. ``may_repeat``: another node may get it too, as long as
    nothing was answered. ``wants_answer``: silence is a failure. ``prepare`` speaks with the backend before the client does
    and returns what it said beyond that.
    """

    key: str
    client: str
    first: Callable[[Node], bytes] = lambda node: b""
    may_repeat: bool = False
    wants_answer: bool = False
    body: Any = None
    prepare: Callable[[Upstream], bytes] | None = None
    close: Callable[[], None] = field(default=lambda: None)


#: TLS connection → the name its client asked for.
Names = MutableMapping[Any, str]

#: Stream of an accepted connection and its peer's address → what it wants.
Opening = Callable[[Upstream, Any], Opened]


class NoAnswer(UpstreamError):
    """A backend ended the connection before it said anything."""


class NoGreeting(UpstreamError):
    """A backend did not say what it says to everybody; it heard nothing yet."""


class Relay:
    """Serves accepted connections of one router, each in a greenlet of its own.

    ``timeout`` is how long both ends together may be silent.
    """

    def __init__(
        self,
        hub: Any,
        connector: Connector,
        routes: Routes,
        *,
        timeout: float,
        report: Callable[[str], None],
        name: str,
        quiet: bool = False,
    ) -> None:
        self._hub = hub
        self._connector = connector
        self._routes = routes
        self._timeout = timeout
        self._report = report
        self._name = name
        self._quiet = quiet

    def serve(self, stream: Stream, opening: Opening, address: Any) -> None:
        """Serve one connection to its end; never raises."""
        client = Upstream(stream, self._hub, _OPENING_S)
        try:
            opened = opening(client, address)
            client.timeout = self._timeout
            try:
                self._forward(client, opened)
            finally:
                opened.close()
        except RemoteProtocolError as exc:
            self._report(f"{self._name}: {exc}")
        except Disconnected:
            pass
        finally:
            client.close()

    def _forward(self, client: Upstream, opened: Opened) -> None:
        problem = f"no backend for {opened.key!r}"
        for node in self._routes.candidates(opened.key, opened.client):
            try:
                upstream = self._connector.connect(node.address)
            except UpstreamError as exc:
                self._routes.failed(node)
                problem = str(exc)
                self._tell(opened, problem)
                continue
            node.begin()
            try:
                self._join(client, upstream, opened, node)
                return
            except NoGreeting as exc:
                self._routes.failed(node)
                problem = str(exc)
                self._tell(opened, problem)
            except NoAnswer as exc:
                problem = str(exc)
                self._tell(opened, problem)
                if not opened.may_repeat:
                    return
            finally:
                node.end()
                upstream.close()
        self._report(f"{self._name}: {problem}")

    def _tell(self, opened: Opened, problem: str) -> None:
        if not self._quiet:
            self._report(f"{self._name}: {opened.key}: {problem}")

    def _join(
        self, client: Upstream, upstream: Upstream, opened: Opened, node: Node
    ) -> None:
        upstream.timeout = self._timeout
        block = b""
        if opened.prepare is not None:
            try:
                block = opened.prepare(upstream)
            except Disconnected as exc:
                raise NoGreeting(f"{node.name} does not greet: {exc}") from exc
        try:
            first = opened.first(node)
            if first:
                upstream.send_all(first)
            if opened.body is not None:
                opened.body.seek(0)
                while piece := opened.body.read(BLOCK):
                    upstream.send_all(piece)
        except Disconnected:
            pass  # It may have answered without waiting for all of it: look.
        alive = _Pulse()
        upwards: Any = None
        if not opened.may_repeat:
            upwards = gevent.spawn(_pump, client, upstream, alive)
        try:
            try:
                block = block or _read(upstream, alive)
            except PeerTimeout as exc:
                if not opened.wants_answer:
                    raise
                raise NoAnswer(f"{node.name} does not answer") from exc
            except Disconnected as exc:
                if upstream.stream.closed or not opened.wants_answer:
                    raise  # the client went away, or this is how it ends
                raise NoAnswer(f"{node.name} broke off: {exc}") from exc
            if not block and opened.wants_answer:
                raise NoAnswer(f"{node.name} closed without an answer")
            if upwards is None:
                upwards = gevent.spawn(_pump, client, upstream, alive)
            while block:
                node.sent += len(block)
                client.send_all(block)
                alive.at = monotonic()
                block = _read(upstream, alive)
            upwards.kill()
            _close_gently(client)
        except NoAnswer:
            if not opened.may_repeat:
                client.close()
            raise
        except Disconnected:
            client.stream.reset_on_close()  # what was cut must look so
            client.close()
        finally:
            if upwards is not None:
                upwards.kill()


class _Pulse:
    """When anything came through last, in either direction."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = monotonic()


def _read(source: Upstream, alive: _Pulse) -> bytes:
    """Read; a silence counts only if the other direction was silent, too."""
    while True:
        try:
            return source.recv(BLOCK)
        except PeerTimeout:
            if monotonic() - alive.at >= source.timeout:
                raise


def _close_gently(client: Upstream) -> None:
    """Close so that the client reads all of the answer, whatever it still sends."""
    client.shutdown_write()
    client.timeout = _LINGER_S
    left = _LINGER_BYTES
    with contextlib.suppress(Disconnected):
        while left > 0 and (block := client.recv(BLOCK)):
            left -= len(block)


def _pump(source: Upstream, sink: Upstream, alive: _Pulse) -> None:
    try:
        while block := _read(source, alive):
            sink.send_all(block)
            alive.at = monotonic()
    except Disconnected:
        sink.close()  # one end is gone: the other has nobody to talk to
    else:
        sink.shutdown_write()


# -- openings --------------------------------------------------------------------------


def raw_opening(
    listener: str, *, xclient: bool = False, proxy: bool = False
) -> Opening:
    """TCP as it comes; the key is the listener's address.

    ``proxy`` tells the backend of the client with a PROXY line.
    """

    def opening(client: Upstream, address: Any) -> Opened:
        peer = _peer(address)
        greet = (lambda upstream: _xclient(upstream, peer)) if xclient else None
        return Opened(
            listener, peer, _introduction(client, address, proxy), prepare=greet
        )

    return opening


def _xclient(upstream: Upstream, peer: str) -> bytes:
    """Tell a mail server who the client is; its first greeting was for us.

    The server greets again, and that is for the client (Postfix's XCLIENT).
    """
    received = b""
    while b"\n" not in received:
        more = upstream.recv(4096)
        if not more or len(received) > 4096:
            raise Disconnected("no greeting")
        received += more
    _, _, rest = received.partition(b"\n")
    address = f"IPV6:{peer}" if ":" in peer else peer or "[UNAVAILABLE]"
    upstream.send_all(f"XCLIENT ADDR={address}\r\n".encode("latin-1"))
    return rest


def _introduction(
    client: Upstream, address: Any, wanted: bool
) -> Callable[[Node], bytes]:
    if not wanted:
        return lambda node: b""
    local = client.stream.socket.getsockname()
    addresses = [
        end[:2] if isinstance(end, tuple) else None for end in (address, local)
    ]
    line = encode_proxy_header(*addresses)
    return lambda node: line


def tls_opening(
    listener: str, names: Names, *, by_sni: bool, proxy: bool = False
) -> Opening:
    """What is inside TLS; the key is the listener's address, or the name asked for.

    ``names`` is where the handshake leaves that name.
    """

    def opening(client: Upstream, address: Any) -> Opened:
        stream = client.stream
        assert isinstance(stream, TlsStream)
        with gevent.Timeout(_OPENING_S, PeerTimeout("no handshake")):
            stream.shake_hands()
        name = names.pop(stream.tls, "")
        return Opened(
            name if by_sni and name else listener,
            _peer(address),
            _introduction(client, address, proxy),
        )

    return opening


def uwsgi_opening(*, force_key: str = "", post_buffering: int = 0) -> Opening:
    """A uwsgi packet; the key is in its variables.

    Bodies of more than ``post_buffering`` bytes are read before a backend is asked,
    so that a slow client costs it nothing; 0 passes them on as they come.
    """

    def opening(client: Upstream, address: Any) -> Opened:
        packet, rest = _read_packet(client)
        modifier1, _size, modifier2 = decode_header(packet)
        block = packet[HEADER_SIZE:]
        variables: dict[str, object] = {}
        if modifier1 < 100 or modifier1 > 250:
            decode_vars(block, variables)
        key = force_key or _key_of(variables)
        if not key:
            raise RemoteProtocolError("a request without a key (HTTP_HOST)")
        length = _length_of(variables)
        body = None
        if post_buffering and length > post_buffering:
            body = _buffer(client, rest, length, post_buffering)
            rest = b""

        def first(node: Node) -> bytes:
            chosen = (node.modifier1 or modifier1, node.modifier2 or modifier2)
            return encode_packet(chosen[0], block, chosen[1]) + rest

        is_bare = not length and not rest and modifier1 == 0
        method = str(variables.get("REQUEST_METHOD", ""))
        return Opened(
            key,
            str(variables.get("REMOTE_ADDR", "")),
            first,
            may_repeat=is_bare and method in _REPEATABLE,
            wants_answer=True,
            body=body,
            close=body.close if body is not None else lambda: None,
        )

    return opening


def _read_packet(client: Upstream) -> tuple[bytes, bytes]:
    received = b""
    end = HEADER_SIZE
    # Each read has its own end; bytes that trickle in have this one.
    deadline = monotonic() + _OPENING_S
    while len(received) < end:
        if monotonic() > deadline:
            raise RemoteProtocolError("a packet was not complete in time")
        more = client.recv(BLOCK)
        if not more:
            raise Disconnected("a packet that was cut short")
        received += more
        if len(received) >= HEADER_SIZE:
            end = HEADER_SIZE + decode_header(received)[1]
    return received[:end], received[end:]


def _key_of(variables: dict[str, object]) -> str:
    for name in ("UWSGI_FASTROUTER_KEY", "HTTP_HOST", "SERVER_NAME"):
        key = variables.get(name)
        if key:
            return str(key)
    return ""


def _length_of(variables: dict[str, object]) -> int:
    text = str(variables.get("CONTENT_LENGTH") or "0")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise RemoteProtocolError(f"malformed CONTENT_LENGTH: {text[:40]!r}")
    return int(text)


def _buffer(client: Upstream, rest: bytes, length: int, in_memory: int) -> Any:
    file = tempfile.SpooledTemporaryFile(in_memory)  # noqa: SIM115
    try:
        file.write(rest)
        left = length - len(rest)
        while left > 0:
            block = client.recv(min(BLOCK, left))
            if not block:
                raise Disconnected("a body that was cut short")
            file.write(block)
            left -= len(block)
    except BaseException:
        file.close()
        raise
    return file


def _peer(address: Any) -> str:
    return str(address[0]) if isinstance(address, tuple) else ""


def tls_stream(
    sock: Accepted, hub: Any, contexts: ServerContexts, names: Names
) -> TlsStream:
    """The stream of an accepted connection; the name asked for goes to ``names``."""
    context = contexts.context

    def chosen(connection: Any, name: str | None, _context: Any) -> None:
        if name:
            names[connection] = name.lower().rstrip(".")
        connection.context = contexts.context_for(name)

    choose_by_name(context, chosen)
    return TlsStream(sock, hub, context)
