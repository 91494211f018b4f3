"""A listener as a worker serves it: what its connections speak and begin with."""

from __future__ import annotations

import _socket
import socket
from importlib import import_module
from typing import TYPE_CHECKING, Any

from geuwsgi.net.stream import Stream
from geuwsgi.server.connection import Connection
from geuwsgi.server.edges import PLAIN
from geuwsgi.server.httpconnection import HttpConnection
from geuwsgi.shared.handovers import Handover

if TYPE_CHECKING:
    from geuwsgi.net.listener import Listener
    from geuwsgi.net.server import Accepted
    from geuwsgi.server.edges import Edge
    from geuwsgi.server.site import Limits, Site

#: What uWSGI says of a peer without an address.
_NO_ADDRESS = "0.0.0.0"

#: Protocols of front servers, which say themselves who the client is: where their
#: connections are. A protocol that no listener speaks is not imported.
_FRONT_PROTOCOLS = {
    "uwsgi": "uwsgiconnection.UwsgiConnection",
    "scgi": "scgiconnection.ScgiConnection",
    "scgi-nph": "scgiconnection.ScgiNphConnection",
    "fastcgi": "fastcgiconnection.FastCgiConnection",
    "fastcgi-nph": "fastcgiconnection.FastCgiNphConnection",
}


class Endpoint:
    """Makes the connections of one listener.

    ``index`` is the listener's place among those of the instance, which is the same
    in all workers.
    """

    __slots__ = (
        "_edge",
        "_environ",
        "_front",
        "_index",
        "_is_unix",
        "_last_address",
        "_limits",
        "_site",
        "_unix_environ",
        "family",
    )

    def __init__(
        self, index: int, listener: Listener, limits: Limits, site: Site, edge: Edge
    ) -> None:
        self._index = index
        self._edge = edge
        self._limits = limits
        self._site = site
        self.family = listener.socket.family
        self._is_unix = self.family == socket.AF_UNIX
        self._last_address = ""
        self._environ: dict[str, object] | None = None
        self._front = _front_kind(listener.protocol)
        if self._front is not None:
            self._front.prepare(site)
        if self._front is None:
            self._environ = {
                **site.base_environ,
                "SERVER_NAME": socket.gethostname(),
                "SERVER_PORT": listener.server_port,
                "SCRIPT_NAME": "",
                **edge.environ,
            }
        #: What connections over a Unix socket share.
        self._unix_environ = {**(self._environ or {}), "REMOTE_ADDR": _NO_ADDRESS}

    @property
    def has_direct_peers(self) -> bool:
        """Whether a peer's address is that of a client, not of a front server."""
        return (
            self._environ is not None
            and not self._is_unix
            and self._edge.proxies is None
        )

    @property
    def begins_in_the_clear(self) -> bool:
        """Whether an answer of HTTP can be sent before anything is read."""
        return self._environ is not None and self._edge.tls is None

    def accept(self, sock: Accepted, address: Any) -> Connection:
        """Return the connection of a socket that accept() has just returned."""
        if self._edge is not PLAIN:
            return self._connection(sock, self._peer(address))
        # Nothing will be known of the peer but its address.
        site = self._site
        limits = self._limits
        environ = self._environ
        stream = Stream(sock, site.hub, site.clock, limits.write_timeout)
        connection: Connection
        if environ is None:
            connection = self._front(site, stream, site.base_environ, limits)
        elif self._is_unix:
            connection = HttpConnection(site, stream, self._unix_environ, limits)
        else:
            connection = HttpConnection(site, stream, environ, limits)
            if address[0] != self._last_address:
                self._last_address = address[0]
            # One text for all connections of a front server.
            connection.peer_address = self._last_address
            connection.peer_port = str(address[1])
        connection.listener = self._index
        return connection

    def _peer(self, address: Any) -> dict[str, str]:
        if self._environ is None:
            return {}
        if self._is_unix:
            return {"REMOTE_ADDR": _NO_ADDRESS}
        return {"REMOTE_ADDR": address[0], "REMOTE_PORT": str(address[1])}

    def adopt(self, handover: Handover) -> Connection:
        """Return the connection that a sibling has given away."""
        family = socket.AF_UNIX if handover.is_relayed else self.family
        sock = _socket.socket(family, socket.SOCK_STREAM, 0, handover.fd)
        sock.setblocking(False)
        edge = PLAIN if handover.is_relayed else self._edge
        connection = self._connection(sock, handover.peer, edge)
        connection.pending = handover.received
        connection.is_adopted = True
        connection.is_relayed = handover.is_relayed
        return connection

    def _connection(
        self, sock: Accepted, peer: dict[str, str], edge: Edge | None = None
    ) -> Connection:
        site = self._site
        limits = self._limits
        stream = (edge or self._edge).stream(sock, site, limits.write_timeout)
        connection: Connection
        if self._environ is None:
            assert self._front is not None
            connection = self._front(site, stream, site.base_environ, limits)
        else:
            environ = self._environ.copy()
            environ.update(peer)
            connection = self._edge.http_connection(site, stream, environ, limits)
        connection.listener = self._index
        return connection

    def hand_over(
        self, connection: Connection, received: bytes, relay: int = -1
    ) -> Handover:
        """Return what a sibling needs to go on with ``connection``.

        ``relay`` is the descriptor it gets in place of the connection's own.
        """
        common = self._environ
        peer: dict[str, str] = {}
        if common is not None:
            # The address, what a PROXY header said, and the client's certificate.
            peer = {
                key: value
                for key, value in connection.new_environ().items()
                if isinstance(value, str) and common.get(key) != value
            }
        is_relayed = relay >= 0 or connection.is_relayed
        fd = relay if relay >= 0 else connection.stream.fileno()
        return Handover(fd, connection.listener, peer, received, is_relayed)


def _front_kind(protocol: str) -> Any:
    """The kind of connection of a front server's protocol; None for HTTP."""
    place = _FRONT_PROTOCOLS.get(protocol)
    if place is None:
        return None
    module, _, name = place.partition(".")
    return getattr(import_module(f"geuwsgi.server.{module}"), name)
