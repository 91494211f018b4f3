"""The http router: requests of its listeners go to other instances.

A stage of the HTTP server in a router process, which relays without holding a core. A
backend that cannot be reached is left alone for ``http-gracetime`` seconds, and the
request is tried at the next one as long as nothing of it can have been done twice: the
connection failed, or the backend ended it before answering a request that has no body
and may be repeated (RFC 9110 §9.2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.offload.relay import relay
from geuwsgi.offload.upstream import Connector, UpstreamError
from geuwsgi.protocol.upstream import encode_request, uwsgi_variables
from geuwsgi.protocol.uwsgi import encode_packet, encode_vars
from geuwsgi.server.routing.answers import answer_status

if TYPE_CHECKING:
    from geuwsgi.routers.nodes import Node
    from geuwsgi.routers.routes import Routes
    from geuwsgi.server.exchange import Exchange

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_IN_MEMORY = 1 << 20


class Fronting:
    """A stage: all requests are answered by backends.

    ``modifiers`` are those of backends that have none of their own. ``buffer_above``
    reads bodies of more bytes before a backend is asked; 0 passes all on as they come.
    With ``server_name_is_host`` backends are told the Host field as SERVER_NAME;
    ``keeps_slashes`` leaves ``%2F`` as it is in PATH_INFO.
    """

    def __init__(
        self,
        connector: Connector,
        routes: Routes,
        *,
        report: Callable[[str], None],
        variables: Mapping[str, str] | None = None,
        modifiers: tuple[int, int] = (0, 0),
        speaks_http: bool = False,
        quiet: bool = False,
        buffer_above: int = 0,
        server_name_is_host: bool = False,
        keeps_slashes: bool = False,
    ) -> None:
        self._connector = connector
        self._routes = routes
        self._report = report
        self._variables = {
            name.encode("utf-8"): value.encode("utf-8")
            for name, value in (variables or {}).items()
        }
        self._modifiers = modifiers
        self._speaks_http = speaks_http
        self._quiet = quiet
        self._buffer_above = buffer_above
        self._server_name_is_host = server_name_is_host
        self._keeps_slashes = keeps_slashes

    def __call__(self, exchange: Exchange) -> bool:
        """Relay the request."""
        exchange.via = "route"
        environ = exchange.environ
        key = str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME", ""))
        if self._buffer_above and exchange.input is not None:
            length = str(environ.get("CONTENT_LENGTH") or "")
            if not length or int(length) > self._buffer_above:
                _buffer(exchange, self._buffer_above)
        problem = f"no backend for {key!r}"
        is_told = False
        for node in self._routes.candidates(key, str(environ.get("REMOTE_ADDR", ""))):
            try:
                self._relay(exchange, node)
                return True
            except _NotReached as exc:
                self._routes.failed(node)
                problem = str(exc)
            except UpstreamError as exc:
                problem = str(exc)
                if exchange.headers_sent or exchange.upgraded:
                    exchange.cut()
                    exchange.complete = True
                    break
                if exchange.input is not None or exchange.method not in _REPEATABLE:
                    break
            if not self._quiet:
                is_told = True
                self._report(f"http: {problem} ({environ.get('REQUEST_URI')})")
        if not exchange.complete:
            if not is_told:
                self._report(f"http: {problem} ({environ.get('REQUEST_URI')})")
            answer_status(exchange, 502)
        return True

    def _relay(self, exchange: Exchange, node: Node) -> None:
        speaks_http = node.speaks_http
        if speaks_http is None:
            speaks_http = self._speaks_http
        has_length = bool(exchange.environ.get("CONTENT_LENGTH"))
        if exchange.input is not None and not (speaks_http or has_length):
            _buffer(exchange, _IN_MEMORY)  # the uwsgi protocol has no chunks
        head, chunked = self._encode(exchange, node, speaks_http)
        try:
            upstream = self._connector.connect(node.address)
        except UpstreamError as exc:
            raise _NotReached(str(exc)) from exc
        node.begin()
        try:
            relay(exchange, upstream, head, chunk_body=chunked)
            node.sent += exchange.body_bytes
        finally:
            node.end()
            upstream.close()

    def _encode(
        self, exchange: Exchange, node: Node, speaks_http: bool
    ) -> tuple[bytes, bool]:
        environ = exchange.environ
        if speaks_http:
            chunked = exchange.input is not None and not environ.get("CONTENT_LENGTH")
            return encode_request(environ, chunked=chunked), chunked
        variables = uwsgi_variables(environ)
        if self._server_name_is_host and environ.get("HTTP_HOST"):
            variables[b"SERVER_NAME"] = variables[b"HTTP_HOST"]
        if self._keeps_slashes:
            _keep_slashes(variables)
        variables[b"UWSGI_ROUTER"] = b"http"
        variables.update(self._variables)
        modifier1, modifier2 = self._modifiers
        try:
            return (
                encode_packet(
                    node.modifier1 or modifier1,
                    encode_vars(variables),
                    node.modifier2 or modifier2,
                ),
                False,
            )
        except (ValueError, OverflowError):
            raise UpstreamError("the request is too large for a uwsgi packet") from None


class _NotReached(UpstreamError):
    """Nothing of the request has left for the backend."""


def _buffer(exchange: Exchange, in_memory: int) -> None:
    """Read the body, so that its length is known."""
    exchange.connection.buffer_body(exchange, in_memory)


def _keep_slashes(variables: dict[bytes, bytes]) -> None:
    """Undo the decoding of ``%2F`` in PATH_INFO (http-path-info-no-decode-slashes)."""
    raw = variables.get(b"REQUEST_URI", b"").partition(b"?")[0]
    path = variables.get(b"PATH_INFO", b"")
    if b"%2f" not in raw.lower() or not raw.startswith(b"/"):
        return
    # Where dot segments were taken out, the two do not match, and nothing is changed.
    from_raw = _unquote_but_slashes(raw)
    if from_raw.lower().replace(b"%2f", b"/") == path.lower():
        variables[b"PATH_INFO"] = from_raw


def _unquote_but_slashes(path: bytes) -> bytes:
    pieces = path.split(b"%")
    decoded = pieces[0]
    for piece in pieces[1:]:
        if piece[:2].lower() == b"2f":
            decoded += b"%" + piece
        else:
            decoded += bytes((int(piece[:2], 16),)) + piece[2:]
    return decoded


def parse_variable(value: str) -> tuple[str, str]:
    """Read ``NAME=value`` of http-var. Raises ConfigError."""
    name, equals, text = value.partition("=")
    if not equals or not name:
        raise ConfigError(f"http-var: it is NAME=value, not {value!r}")
    return name, text
