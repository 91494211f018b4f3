"""What stands between a listener's socket and HTTP: TLS, PROXY headers, redirects.

An ``Edge`` belongs to a listener and is made once for all workers, before they are
forked; ``connection`` and ``stream`` are called for each accepted socket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError, RemoteProtocolError
from geuwsgi.net.address import parse_address
from geuwsgi.net.stream import Stream
from geuwsgi.net.tls import ServerContexts
from geuwsgi.net.tlsoptions import server_contexts
from geuwsgi.net.tlsstream import TlsStream, client_variables
from geuwsgi.protocol.forwarded import TrustedProxies
from geuwsgi.server.httpconnection import HttpConnection
from geuwsgi.server.proxied import read_proxy_header, refusal_of
from geuwsgi.server.routing.answers import as_uri

if TYPE_CHECKING:
    import _socket

    from geuwsgi.net.listener import Listener
    from geuwsgi.options import Http, Sockets
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.site import Limits, Site

_ROUTER_KINDS = frozenset({"http", "https", "https2"})


@dataclass(frozen=True)
class Edge:
    """How the connections of one listener begin.

    ``proxies`` are the peers whose PROXY header is read, None reads none;
    ``redirect_port`` is where everybody is sent instead of being served.
    """

    tls: ServerContexts | None = None
    exports_certificate: bool = False
    proxies: TrustedProxies | None = None
    redirect_port: str | None = None

    @property
    def environ(self) -> dict[str, object]:
        """What requests begin with because of the edge."""
        if self.tls is None:
            return {}
        return {"HTTPS": "on", "wsgi.url_scheme": "https"}

    def stream(self, sock: _socket.socket, site: Site, write_timeout: float) -> Stream:
        """The stream of an accepted socket."""
        if self.tls is None:
            return Stream(sock, site.hub, site.clock, write_timeout)
        return TlsStream(sock, site.hub, self.tls.context, site.clock, write_timeout)

    def http_connection(
        self, site: Site, stream: Stream, environ: dict[str, object], limits: Limits
    ) -> HttpConnection:
        """The connection of a stream that speaks HTTP."""
        if isinstance(stream, TlsStream):
            exports = self.exports_certificate

            def tell(done: TlsStream) -> None:
                environ.update(client_variables(done.tls, export=exports))

            stream.on_handshake = tell
        if self.redirect_port is not None:
            return RedirectingConnection(
                site, stream, environ, limits, port=self.redirect_port
            )
        if self.proxies is not None:
            return ProxiedConnection(
                site, stream, environ, limits, trusted=self.proxies
            )
        return HttpConnection(site, stream, environ, limits)


PLAIN = Edge()


def edge_of(
    listener: Listener, http: Http, sockets: Sockets, report: Callable[[str], None]
) -> Edge:
    """Make the edge of a listener. Raises ConfigError if certificates are no good."""
    is_router = listener.kind in _ROUTER_KINDS
    reads_proxy = (
        http.http_enable_proxy_protocol if is_router else sockets.enable_proxy_protocol
    )
    try:
        tls = None
        if listener.tls:
            tls = server_contexts(listener.kind, listener.tls, http, report)
        redirect_port = None
        if listener.protocol == "http-to-https":
            redirect_port = _redirect_port(http, listener)
        return Edge(
            tls,
            http.https_export_cert,
            TrustedProxies(http.trusted_proxies) if reads_proxy else None,
            redirect_port,
        )
    except ConfigError as exc:
        raise ConfigError(f"{listener.kind}: {exc.message}", listener.origin) from exc


def _redirect_port(http: Http, listener: Listener) -> str:
    """The port of HTTPS: what http-to-https names, else that of the first https."""
    for value in http.http_to_https:
        address, comma, target = value.partition(",")
        if comma and address.strip() == listener.name:
            return _port_of(target)
    for value in http.https:
        return _port_of(value.partition(",")[0])
    return ""


def _port_of(text: str) -> str:
    return str(getattr(parse_address(text.strip()), "port", ""))


class ProxiedConnection(HttpConnection):
    """HTTP behind a balancer that speaks the PROXY protocol."""

    __slots__ = ("_trusted",)

    def __init__(
        self,
        site: Site,
        stream: Stream,
        environ: dict[str, object],
        limits: Limits,
        *,
        trusted: TrustedProxies,
    ) -> None:
        super().__init__(site, stream, environ, limits)
        self._trusted = trusted

    def _serve(self) -> None:
        if not self.pending:
            try:
                read_proxy_header(self, self._trusted)
            except RemoteProtocolError as error:
                # Nothing that could be answered: the client is behind the peer.
                self.site.report(refusal_of(self, error))
                return
            if not self.pending and self.stream.closed:
                return
        super()._serve()


class RedirectingConnection(HttpConnection):
    """Plain HTTP that sends everybody to HTTPS (uWSGI: http-to-https)."""

    __slots__ = ("_port",)

    def __init__(
        self,
        site: Site,
        stream: Stream,
        environ: dict[str, object],
        limits: Limits,
        *,
        port: str = "",
    ) -> None:
        """``port`` is that of HTTPS, empty for 443."""
        super().__init__(site, stream, environ, limits)
        self._port = "" if port in ("", "443") else f":{port}"

    def run(self, exchange: Exchange) -> None:
        """Answer without a core, an application or a line in the log."""
        environ = exchange.environ
        host = str(environ.get("HTTP_HOST", "")) or str(environ["SERVER_NAME"])
        if host.startswith("["):
            host = host.partition("]")[0] + "]"
        else:
            host = host.partition(":")[0]
        uri = str(environ.get("REQUEST_URI", "/"))
        if not uri.startswith("/"):
            uri = "/"
        location = f"https://{as_uri(host)}{self._port}{as_uri(uri)}"
        exchange.keep_alive = False
        exchange.start_response(
            # 301 would have browsers turn a POST into a GET.
            "301 Moved Permanently"
            if exchange.method in ("GET", "HEAD")
            else "308 Permanent Redirect",
            [("Location", location), ("Content-Length", "0")],
        )
        exchange.finish()
