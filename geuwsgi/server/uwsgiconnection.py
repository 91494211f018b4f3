"""The uwsgi protocol on one connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import http1, uwsgi
from geuwsgi.server.connection import READ_SIZE, Connection
from geuwsgi.server.exchange import Exchange
from geuwsgi.wsgi.input import LengthInput

if TYPE_CHECKING:
    from geuwsgi.wsgi.response import RenderedHead

#: What PEP 3333 wants and front servers leave out: nginx's ``uwsgi_params`` has no
#: ``SCRIPT_NAME``.
_DEFAULT_VARS: Mapping[str, object] = {
    "SCRIPT_NAME": "",
    "PATH_INFO": "",
    "QUERY_STRING": "",
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.0",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
}


class UwsgiConnection(Connection):
    """The uwsgi protocol: one packet, one answer, close."""

    __slots__ = ()

    def _serve(self) -> None:
        site = self.site
        stream = self.stream
        stream.deadline = site.clock.now + self.limits.head_timeout
        received = self.pending or stream.recv(READ_SIZE)
        while len(received) < uwsgi.HEADER_SIZE:
            more = stream.recv(READ_SIZE)
            if not more:
                return
            received += more
        modifier1, size, modifier2 = uwsgi.decode_header(received)
        end = uwsgi.HEADER_SIZE + size
        if modifier1 != uwsgi.REQUEST:
            self._other_modifier(modifier1, modifier2, received)
            return
        if size > self.limits.head_bytes:
            site.report(
                f"invalid request block size: {size} "
                f"(max {self.limits.head_bytes})...skip"
            )
            self.refuse(RemoteProtocolError("request block too large", 431))
            return
        while len(received) < end:
            more = stream.recv(READ_SIZE)
            if not more:
                site.report(
                    f"uwsgi packet cut short: {len(received)} of {end} bytes came"
                )
                return
            received += more
        stream.deadline = 0.0
        environ = dict(_DEFAULT_VARS)
        try:
            count = uwsgi.decode_vars(received[uwsgi.HEADER_SIZE : end], environ)
            length = self._complete_environ(environ)
        except RemoteProtocolError as error:
            self.refuse(error)
            return
        exchange = Exchange(site, self, environ)
        exchange.packet_size = size
        exchange.vars_count = count * 2
        protocol = environ["SERVER_PROTOCOL"]
        if protocol != "HTTP/1.1" and str(protocol).startswith("HTTP/"):
            exchange.protocol = str(protocol)
        self.is_head = environ["REQUEST_METHOD"] == "HEAD"
        if length:
            self._attach_body(exchange, length, received[end:])
        elif len(received) > end:
            exchange.received = received[end:]
        if "HTTP_UPGRADE" in environ:
            for offer in site.upgrade_offers:
                offer(exchange)
        if site.sticky is not None and self._went_elsewhere(exchange, received):
            return
        del received
        self.run(exchange)
        body = exchange.input
        if exchange.complete and body is not None and not body.complete:
            self.close_gently()

    def _complete_environ(self, environ: dict[str, object]) -> int:
        """Add the worker's keys, which no variable replaces; return the length."""
        environ.update(self.environ)
        get = environ.get
        # The front server has decoded the body, but nginx passes the field on.
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("HTTP_PROXY", None)
        if "HTTP_CONTENT_LENGTH" in environ or "HTTP_CONTENT_TYPE" in environ:
            # nginx sends these beside the variables of CGI, which are what counts.
            environ.pop("HTTP_CONTENT_LENGTH", None)
            environ.pop("HTTP_CONTENT_TYPE", None)
        scheme = get("UWSGI_SCHEME")
        if scheme is None:
            https = get("HTTPS")
            if https is not None and str(https).lower() in ("on", "1"):
                scheme = "https"
        if self.site.trust_forwarded_proto:
            forwarded = get("HTTP_X_FORWARDED_PROTO")
            if forwarded == "https" or forwarded == "http":
                scheme = forwarded
        if scheme is not None:
            environ["wsgi.url_scheme"] = scheme
        given = get("CONTENT_LENGTH")
        if not given:
            return 0
        length = http1.parse_content_length(str(given))
        limit = self.limits.body_bytes
        if 0 < limit < length:
            raise RemoteProtocolError(
                f"request body of {length} bytes, more than {limit}", 413
            )
        return length

    def _attach_body(self, exchange: Exchange, length: int, rest: bytes) -> None:
        body = LengthInput(
            self.stream,
            length,
            rest,
            before_first_read=None,
            extend_deadline=self._extend_read_deadline,
        )
        exchange.input = body
        exchange.environ["wsgi.input"] = body

    def _other_modifier(self, modifier1: int, modifier2: int, received: bytes) -> None:
        service = self.site.modifiers.get(modifier1)
        if service is not None:
            service(self, modifier2, received)
            return
        if received[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE"):
            self.site.report(
                "an HTTP request came to a uwsgi socket: "
                "the client or its proxy must speak the uwsgi protocol"
            )
        else:
            self.site.report(f"-- unavailable modifier requested: {modifier1} --")

    def closing_lines(self, exchange: Exchange, head: RenderedHead) -> bytes:
        return b""
