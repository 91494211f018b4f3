"""Connections that begin with a PROXY header (uWSGI: enable-proxy-protocol)."""

from __future__ import annotations

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.net.stream import Stream
from geuwsgi.net.tlsstream import TlsStream
from geuwsgi.protocol.forwarded import TrustedProxies
from geuwsgi.protocol.proxy import (
    ProxyHeader,
    decode_proxy_header,
    may_be_proxy_header,
)
from geuwsgi.server.connection import Connection


def read_proxy_header(connection: Connection, trusted: TrustedProxies) -> None:
    """Read a PROXY header, if one comes, and put what it says into the environ.

    ``trusted`` are the peers that may send one; if it is empty everybody may, as in
    uWSGI. Nothing of a peer that may not is read, so what it sends meets the parser of
    the protocol. Call it before anything else is read; it blocks until the first
    bytes came. Raises RemoteProtocolError for a malformed header.
    """
    peer = str(connection.environ.get("REMOTE_ADDR", ""))
    if trusted and not trusted.trusts(peer):
        return
    stream = connection.stream
    stream.deadline = connection.site.clock.now + connection.limits.head_timeout
    received = b""
    header: ProxyHeader | None = None
    while header is None and may_be_proxy_header(received):
        # Under TLS, if there is any: the header is in the clear.
        more = Stream.recv(stream, 4096)
        if not more:
            break
        received += more
        if may_be_proxy_header(received):
            header = decode_proxy_header(received)
    if header is not None:
        received = received[header.length :]
        if header.source:
            _believe(connection, header)
    if isinstance(stream, TlsStream):
        stream.unread(received)
    else:
        connection.pending = received


def _believe(connection: Connection, header: ProxyHeader) -> None:
    environ = connection.environ
    environ["REMOTE_ADDR"] = header.source
    environ["REMOTE_PORT"] = str(header.source_port)
    environ["SERVER_ADDR"] = header.destination
    environ["SERVER_PORT"] = str(header.destination_port)


def refusal_of(connection: Connection, error: RemoteProtocolError) -> str:
    """The line for the log about a peer whose header is malformed."""
    peer = connection.environ.get("REMOTE_ADDR", "?")
    return f"bad PROXY header from {peer}: {error}"
