"""A listener as a worker serves it: what its connections speak and begin with."""

from __future__ import annotations

import _socket
import socket
from typing import TYPE_CHECKING, Any

from geuwsgi.server.connection import Connection
from geuwsgi.server.fastcgiconnection import FastCgiConnection, FastCgiNphConnection
from geuwsgi.server.scgiconnection import ScgiConnection, ScgiNphConnection
from geuwsgi.server.uwsgiconnection import UwsgiConnection
from geuwsgi.shared.handovers import Handover

if TYPE_CHECKING:
    from geuwsgi.net.listener import Listener
    from geuwsgi.server.edges import Edge
    from geuwsgi.server.site import Limits, Site

#: What uWSGI says of a peer without an address.
_NO_ADDRESS = "0.0.0.0"

#: Protocols of front servers, which say themselves who the client is.
FRONT_PROTOCOLS = {
    "uwsgi": UwsgiConnection,
    "scgi": ScgiConnection,
    "scgi-nph": ScgiNphConnection,
    "fastcgi": FastCgiConnection,
    "fastcgi-nph": FastCgiNphConnection,
}

_PEER_KEYS: tuple[str, ...] = ("REMOTE_ADDR", "REMOTE_PORT")


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
        "_limits",
        "_site",
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
        self._environ: dict[str, object] | None = None
        self._front = FRONT_PROTOCOLS.get(listener.protocol)
        if self._front is None:
            self._environ = {
                **site.base_environ,
                "SERVER_NAME": socket.gethostname(),
                "SERVER_PORT": listener.server_port,
                "SCRIPT_NAME": "",
                **edge.environ,
            }

    @property
    def has_direct_peers(self) -> bool:
        """Whether a peer's address is that of a client, not of a front server."""
        return self._environ is not None and not self._is_unix

    def accept(self, sock: _socket.socket, address: Any) -> Connection:
        """Return the connection of a socket that accept() has just returned."""
        if self._environ is None:
            return self._connection(sock, {})
        if self._is_unix:
            return self._connection(sock, {"REMOTE_ADDR": _NO_ADDRESS})
        return self._connection(
            sock, {"REMOTE_ADDR": address[0], "REMOTE_PORT": str(address[1])}
        )

    def adopt(self, handover: Handover) -> Connection:
        """Return the connection that a sibling has given away."""
        sock = _socket.socket(self.family, socket.SOCK_STREAM, 0, handover.fd)
        sock.setblocking(False)
        connection = self._connection(sock, handover.peer)
        connection.pending = handover.received
        return connection

    def _connection(self, sock: _socket.socket, peer: dict[str, str]) -> Connection:
        site = self._site
        limits = self._limits
        stream = self._edge.stream(sock, site, limits.write_timeout)
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

    @staticmethod
    def hand_over(connection: Connection, received: bytes) -> Handover:
        """Return what a sibling needs to go on with ``connection``."""
        environ = connection.environ
        peer: dict[str, str] = {
            key: str(environ[key]) for key in _PEER_KEYS if key in environ
        }
        return Handover(connection.stream.fileno(), connection.listener, peer, received)
