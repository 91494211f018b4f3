"""TLS, PROXY headers, HTTP/2 and redirects: edges at which something happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError, RemoteProtocolError
from geuwsgi.net.address import parse_address
from geuwsgi.net.stream import Stream
from geuwsgi.net.tls import ServerContexts
from geuwsgi.net.tlsoptions import server_contexts
from geuwsgi.net.tlsstream import TlsStream, client_variables
from geuwsgi.protocol.forwarded import TrustedProxies
from geuwsgi.server.connection import READ_SIZE
from geuwsgi.server.edges import Edge
from geuwsgi.server.httpconnection import HttpConnection
from geuwsgi.server.proxied import read_proxy_header, refusal_of
from geuwsgi.server.routing.answers import as_uri

if TYPE_CHECKING:
    from geuwsgi.net.heldfiles import HeldFiles
    from geuwsgi.net.listener import Listener
    from geuwsgi.net.server import Accepted
    from geuwsgi.options import Http
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.site import Limits, Site

# With it begins every connection of HTTP/2, in TLS and (known beforehand) without.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass(frozen=True)
class SpecialEdge(Edge):
    """An edge with something to do before the requests, or in their place.

    ``redirect_port`` is where everybody is sent instead of being served.
    """

    tls: ServerContexts | None = None
    exports_certificate: bool = False
    proxies: TrustedProxies | None = None
    redirect_port: str | None = None
    speaks_http2: bool = False
    tells_tls_errors: bool = False

    @property
    def environ(self) -> dict[str, object]:
        """See Edge."""
        if self.tls is None:
            return {}
        return {"HTTPS": "on", "wsgi.url_scheme": "https"}

    def stream(self, sock: Accepted, site: Site, write_timeout: float) -> Stream:
        """See Edge."""
        if self.tls is None:
            return Stream(sock, site.hub, site.clock, write_timeout)
        stream = TlsStream(sock, site.hub, self.tls.context, site.clock, write_timeout)
        if self.tells_tls_errors:
            stream.on_failure = site.report
        return stream

    def http_connection(
        self, site: Site, stream: Stream, environ: dict[str, object], limits: Limits
    ) -> HttpConnection:
        """See Edge."""
        if isinstance(stream, TlsStream):
            exports = self.exports_certificate

            def tell(done: TlsStream) -> None:
                environ.update(client_variables(done.tls, export=exports))

            stream.on_handshake = tell
        if self.redirect_port is not None:
            return RedirectingConnection(
                site, stream, environ, limits, port=self.redirect_port
            )
        if self.proxies is not None or self.speaks_http2:
            return EdgeConnection(
                site,
                stream,
                environ,
                limits,
                proxies=self.proxies,
                speaks_http2=self.speaks_http2,
            )
        return HttpConnection(site, stream, environ, limits)


def special_edge(
    listener: Listener,
    http: Http,
    report: Callable[[str], None],
    held: HeldFiles | None,
    *,
    reads_proxy: bool,
    speaks_http2: bool,
    redirects: bool,
) -> SpecialEdge:
    """Make the edge of a listener. Raises ConfigError if certificates are no good."""
    try:
        if speaks_http2 and find_spec("h2") is None:
            raise ConfigError("http2 needs the package h2: pip install geuwsgi[http2]")
        protocols = ("h2", "http/1.1") if speaks_http2 else ("http/1.1",)
        tls = None
        if listener.tls:
            tls = server_contexts(
                listener.kind,
                listener.tls,
                http,
                report,
                protocols=protocols,
                held=held,
            )
        return SpecialEdge(
            tls,
            http.https_export_cert,
            TrustedProxies(http.trusted_proxies) if reads_proxy else None,
            _redirect_port(http, listener) if redirects else None,
            speaks_http2,
            http.ssl_verbose,
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


class EdgeConnection(HttpConnection):
    """HTTP whose beginning decides: on who the client is, and on the version.

    ``proxies`` and ``speaks_http2``: see ``SpecialEdge``.
    """

    __slots__ = ("_is_begun", "_proxies", "_speaks_http2")

    def __init__(
        self,
        site: Site,
        stream: Stream,
        environ: dict[str, object],
        limits: Limits,
        *,
        proxies: TrustedProxies | None,
        speaks_http2: bool,
    ) -> None:
        super().__init__(site, stream, environ, limits)
        self._proxies = proxies
        self._speaks_http2 = speaks_http2
        self._is_begun = False

    def next_exchange(self) -> Exchange | None:
        if not self._is_begun:
            self._is_begun = True
            if not self._begins_as_http1():
                return None
        return super().next_exchange()

    def _begins_as_http1(self) -> bool:
        """Read what stands before the requests; false if that was all."""
        if self._proxies is not None and not self.is_adopted:
            try:
                read_proxy_header(self, self._proxies)
            except RemoteProtocolError as error:
                # Nothing that could be answered: the client is behind the peer.
                self.site.report(refusal_of(self, error))
                return False
        if self._speaks_http2 and self._is_http2():
            # Here, because h2 is there only where the extra is installed.
            from geuwsgi.server.http2.session import Session

            received, self.pending = self.pending, b""
            if self.site.sticky is not None:
                from geuwsgi.server.http2.belonging import read_first_request

                received, environ = read_first_request(self, received)
                if environ is not None and self.goes_elsewhere(environ, received):
                    return False
            Session(self, received).run()
            return False
        return True

    def _is_http2(self) -> bool:
        """Read the first bytes into ``pending``; whether they are HTTP/2's."""
        stream = self.stream
        stream.deadline = self.site.clock.now + self.limits.head_timeout
        received = self.pending
        while len(received) < len(_PREFACE) and _PREFACE.startswith(received):
            more = stream.recv(READ_SIZE)
            if not more:
                break
            received += more
        self.pending = received
        if isinstance(stream, TlsStream) and stream.protocol == "h2":
            return True
        return received.startswith(_PREFACE)


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

    def next_exchange(self) -> Exchange | None:
        """Answer all requests without a core, an application or a line in the log."""
        while (exchange := super().next_exchange()) is not None:
            self._redirect(exchange)
            if not self.settle(exchange):
                break
        return None

    def _redirect(self, exchange: Exchange) -> None:
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
