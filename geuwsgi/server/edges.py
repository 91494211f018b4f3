"""What stands between a listener's socket and HTTP.

An ``Edge`` belongs to a listener and is made once for all workers, before they are
forked; ``http_connection`` and ``stream`` are called for each accepted socket. At most
listeners nothing stands there; what the others have is in
`geuwsgi.server.specialedges`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from geuwsgi.net.stream import Stream
from geuwsgi.server.httpconnection import HttpConnection

if TYPE_CHECKING:
    from geuwsgi.net.heldfiles import HeldFiles
    from geuwsgi.net.listener import Listener
    from geuwsgi.net.server import Accepted
    from geuwsgi.net.tls import ServerContexts
    from geuwsgi.options import Http, Sockets
    from geuwsgi.protocol.forwarded import TrustedProxies
    from geuwsgi.server.site import Limits, Site

_ROUTER_KINDS = frozenset({"http", "https", "https2"})


class Edge:
    """How the connections of a listener begin: this one's with their requests.

    ``tls`` is what a handshake needs; ``proxies`` are the peers whose PROXY header is
    read, None reads none.
    """

    tls: ServerContexts | None = None
    proxies: TrustedProxies | None = None

    @property
    def environ(self) -> dict[str, object]:
        """What requests begin with because of the edge."""
        return {}

    def stream(self, sock: Accepted, site: Site, write_timeout: float) -> Stream:
        """The stream of an accepted socket."""
        return Stream(sock, site.hub, site.clock, write_timeout)

    def http_connection(
        self, site: Site, stream: Stream, environ: dict[str, object], limits: Limits
    ) -> HttpConnection:
        """The connection of a stream that speaks HTTP."""
        return HttpConnection(site, stream, environ, limits)


PLAIN = Edge()


def edge_of(
    listener: Listener,
    http: Http,
    sockets: Sockets,
    report: Callable[[str], None],
    held: HeldFiles | None = None,
) -> Edge:
    """Make the edge of a listener. Raises ConfigError if certificates are no good."""
    is_router = listener.kind in _ROUTER_KINDS
    reads_proxy = (
        http.http_enable_proxy_protocol if is_router else sockets.enable_proxy_protocol
    )
    speaks_http2 = http.http2 and listener.protocol == "http"
    redirects = listener.protocol == "http-to-https"
    if not (listener.tls or reads_proxy or speaks_http2 or redirects):
        return PLAIN
    # Where a server in front does all that, TLS and the rest need not be imported.
    from geuwsgi.server.specialedges import special_edge

    return special_edge(
        listener,
        http,
        report,
        held,
        reads_proxy=reads_proxy,
        speaks_http2=speaks_http2,
        redirects=redirects,
    )
