"""The uwsgi protocol on one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import uwsgi
from geuwsgi.protocol.foreign import name_protocol
from geuwsgi.server.cgiconnection import (
    DEFAULT_VARS,
    SPECIAL_IF_GIVEN,
    SPECIAL_VARS,
    CgiConnection,
)
from geuwsgi.server.connection import READ_SIZE
from geuwsgi.server.exchange import Exchange

if TYPE_CHECKING:
    from geuwsgi.server.site import Site

try:
    from geuwsgi.protocol._fields import VarsReader
except ImportError:
    VarsReader = None  # type: ignore[assignment,misc]

#: How requests of HTTP begin, and the preface of HTTP/2.
_HTTP_BEGINS = frozenset(
    [b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE", b"PATC", b"CONN", b"PRI "]
)

#: Variables that are the same for many visitors.
_STEADY = frozenset(
    """
    CONTENT_TYPE DOCUMENT_ROOT GATEWAY_INTERFACE HTTP_ACCEPT HTTP_ACCEPT_ENCODING
    HTTP_ACCEPT_LANGUAGE HTTP_CACHE_CONTROL HTTP_CONNECTION HTTP_DNT HTTP_HOST
    HTTP_PRAGMA HTTP_PRIORITY HTTP_SEC_CH_UA HTTP_SEC_CH_UA_MOBILE
    HTTP_SEC_CH_UA_PLATFORM HTTP_SEC_FETCH_DEST HTTP_SEC_FETCH_MODE
    HTTP_SEC_FETCH_SITE HTTP_SEC_FETCH_USER HTTP_TE HTTP_UPGRADE_INSECURE_REQUESTS
    HTTP_USER_AGENT HTTP_X_FORWARDED_PROTO HTTP_X_FORWARDED_PORT HTTPS REQUEST_METHOD
    REQUEST_SCHEME SCRIPT_NAME SERVER_ADDR SERVER_NAME SERVER_PORT SERVER_PROTOCOL
    SERVER_SOFTWARE UWSGI_SCHEME
    """.split()
)


class UwsgiConnection(CgiConnection):
    """The uwsgi protocol: one packet, one answer, close."""

    __slots__ = ()

    @staticmethod
    def prepare(site: Site) -> None:
        if VarsReader is not None and site.vars_reader is None:
            worker = site.base_environ
            site.vars_reader = VarsReader(
                {**DEFAULT_VARS, **worker},
                worker,
                SPECIAL_VARS,
                SPECIAL_IF_GIVEN,
                _STEADY,
            )

    def next_exchange(self) -> Exchange | None:
        site = self.site
        stream = self.stream
        stream.deadline = site.clock.now + self.limits.head_timeout
        received = self.pending or stream.recv(READ_SIZE)
        while len(received) < uwsgi.HEADER_SIZE:
            more = stream.recv(READ_SIZE)
            if not more:
                return None
            received += more
        modifier1, size, modifier2 = uwsgi.decode_header(received)
        end = uwsgi.HEADER_SIZE + size
        if modifier1 != uwsgi.REQUEST and not self._is_request(modifier1):
            self._other_modifier(modifier1, modifier2, received)
            return None
        if size > self.limits.head_bytes:
            site.report(
                f"invalid request block size: {size} "
                f"(max {self.limits.head_bytes})...skip"
            )
            self.refuse(RemoteProtocolError("request block too large", 431))
            return None
        while len(received) < end:
            more = stream.recv(READ_SIZE)
            if not more:
                site.report(
                    f"uwsgi packet cut short: {len(received)} of {end} bytes came"
                )
                return None
            received += more
        stream.deadline = 0.0
        reader = site.vars_reader
        environ = None
        if reader is not None:
            environ = reader.read(received, uwsgi.HEADER_SIZE, end)
        length = 0
        try:
            if reader is None or environ is None:
                environ = dict(DEFAULT_VARS)
                count = uwsgi.decode_vars(received[uwsgi.HEADER_SIZE : end], environ)
                length = self.complete_environ(environ)
            else:
                count = reader.count
                if reader.has_special:
                    length = self.complete_environ(environ)
        except RemoteProtocolError as error:
            self.refuse(error)
            return None
        exchange = Exchange(site, self, environ)
        exchange.packet_size = size
        exchange.vars_count = count * 2
        protocol = environ["SERVER_PROTOCOL"]
        if protocol != "HTTP/1.1" and str(protocol).startswith("HTTP/"):
            if not str(protocol).isprintable():
                # It would begin the answer, and end its line.
                self.refuse(RemoteProtocolError("a control in SERVER_PROTOCOL"))
                return None
            exchange.protocol = str(protocol)
        self.is_head = environ["REQUEST_METHOD"] == "HEAD"
        if length:
            self.attach_body(exchange, length, received[end:])
        elif len(received) > end:
            exchange.received = received[end:]
        if "HTTP_UPGRADE" in environ:
            for offer in site.upgrade_offers:
                offer(exchange)
        if site.sticky is not None and self.goes_elsewhere(exchange.environ, received):
            return None
        body = exchange.input
        if body is not None and not body.complete and not self.await_small_body(body):
            return None
        return exchange

    def _is_request(self, modifier1: int) -> bool:
        """Whether packets of a modifier are taken for requests (nginx sends 30)."""
        modifiers = self.site.modifiers
        return modifier1 in modifiers and modifiers[modifier1] is None

    def _other_modifier(self, modifier1: int, modifier2: int, received: bytes) -> None:
        service = self.site.modifiers.get(modifier1)
        if service is not None:
            service(self, modifier2, received)
            return
        if received[:4] in _HTTP_BEGINS:
            # As uwsgi, these four letters would be an unknown modifier of a long block.
            self.refuse(
                RemoteProtocolError(
                    "an HTTP request came to a uwsgi socket: "
                    "the client or its proxy must speak the uwsgi protocol"
                )
            )
        elif named := name_protocol(received):
            self.site.report(f"{named} came to a uwsgi socket")
        else:
            self.site.report(f"-- unavailable modifier requested: {modifier1} --")
