"""What the protocols of front servers share: variables instead of a head.

uwsgi, SCGI and FastCGI bring a request as variables of CGI (RFC 3875), made by a web
server of the same site. It is trusted with what it says about the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol import http1
from geuwsgi.server.answering import ENDS
from geuwsgi.server.connection import Connection
from geuwsgi.server.exchange import Exchange
from geuwsgi.wsgi.input import LengthInput

if TYPE_CHECKING:
    from geuwsgi.server.site import Site
    from geuwsgi.wsgi.response import RenderedHead

#: What PEP 3333 wants and front servers leave out: nginx's ``uwsgi_params`` has no
#: ``SCRIPT_NAME``.
DEFAULT_VARS: Mapping[str, object] = {
    "SCRIPT_NAME": "",
    "PATH_INFO": "",
    "QUERY_STRING": "",
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.0",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
}


#: Variables that ``complete_environ`` looks at: without them, and with the worker's
#: keys, an environ is complete. The second ones say nothing when they are empty.
SPECIAL_VARS = frozenset(
    """
    HTTP_CONTENT_LENGTH HTTP_CONTENT_TYPE HTTP_PROXY HTTP_TRANSFER_ENCODING
    HTTP_X_FORWARDED_PROTO UWSGI_SCHEME
    """.split()
)
SPECIAL_IF_GIVEN = frozenset({"CONTENT_LENGTH", "HTTPS"})


class CgiConnection(Connection):
    """A connection of a front server."""

    __slots__ = ()

    @staticmethod
    def prepare(site: Site) -> None:
        """Make what all connections of this kind share. Called for each listener."""

    @staticmethod
    def find_path(environ: dict[str, object]) -> None:
        """Find the path where the front server does not give it as ``PATH_INFO``.

        Apache's mod_proxy_fcgi and _scgi and nginx's stock ``fastcgi_params`` send it
        as ``SCRIPT_NAME``, nginx's ``scgi_params`` as ``DOCUMENT_URI``.
        """
        if environ.get("PATH_INFO"):
            return
        path = environ["SCRIPT_NAME"] or environ.get("DOCUMENT_URI")
        if not path:
            path = str(environ.get("REQUEST_URI", "")).partition("?")[0]
            path = http1.decode_path(path)
        environ["PATH_INFO"] = path
        environ["SCRIPT_NAME"] = ""

    def complete_environ(self, environ: dict[str, object]) -> int:
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

    def settle(self, exchange: Exchange) -> int:
        """One request, one answer, and the end."""
        body = exchange.input
        if exchange.complete and body is not None and not body.complete:
            self.close_gently()
        return ENDS

    def attach_body(self, exchange: Exchange, length: int, rest: bytes) -> None:
        """Give the exchange a body of ``length`` bytes; ``rest`` has come already."""
        body = LengthInput(
            self.stream,
            length,
            rest,
            before_first_read=None,
            extend_deadline=self._extend_read_deadline,
        )
        exchange.input = body
        exchange.environ["wsgi.input"] = body

    def end_of_head(self, exchange: Exchange, head: RenderedHead) -> bytes:
        return b"\r\n"
