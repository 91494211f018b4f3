"""``http:`` and ``uwsgi:``: another server answers, its bytes are passed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import parse_backend
from geuwsgi.offload.relay import relay
from geuwsgi.offload.upstream import UpstreamError
from geuwsgi.protocol.upstream import encode_request, uwsgi_variables
from geuwsgi.protocol.uwsgi import encode_packet, encode_vars
from geuwsgi.server.routing.answers import answer_status
from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.routing.visit import Outcome

if TYPE_CHECKING:
    from geuwsgi.server.routing.actions import Action, ActionFactory
    from geuwsgi.server.routing.template import Template
    from geuwsgi.server.routing.visit import Visit

_IN_MEMORY = 1 << 20
_MOSTLY_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})

EncodeHead = Callable[["Visit"], tuple[bytes, bool]]
"""The head for the backend, and whether the body follows in chunks."""


def _relaying(
    kit: Kit, action: str, address: Template, encode_head: EncodeHead
) -> Action:
    connector = kit.connector
    if connector is None:
        raise ConfigError(f"{action}: there are no backends in this process")
    if address.literal is not None:
        parse_backend(address.literal)

    def act(visit: Visit) -> Outcome:
        exchange = visit.exchange
        exchange.via = "route"
        try:
            head, chunked = encode_head(visit)
            upstream = connector.connect(parse_backend(address.render(visit)))
            try:
                relay(exchange, upstream, head, chunk_body=chunked)
            finally:
                upstream.close()
        except (UpstreamError, ConfigError) as exc:
            kit.report(f"{action}: {exc} ({visit.variable('REQUEST_URI')})")
            if exchange.headers_sent or exchange.upgraded:
                exchange.cut()
                exchange.complete = True
            else:
                answer_status(exchange, 502)
        return Outcome.BREAK

    return act


def _http(argument: str, kit: Kit) -> Action:
    address, _, host = argument.partition(",")
    host_template = kit.template(host.strip())

    def encode(visit: Visit) -> tuple[bytes, bool]:
        environ = visit.environ
        host = host_template.render(visit)
        chunked = _lacks_length(visit)
        if chunked and visit.exchange.method in _MOSTLY_WITHOUT_BODY:
            # FastCGI does not say beforehand whether there is one.
            _buffer(visit)
            chunked = False
        return encode_request(environ, host=host, chunked=chunked), chunked

    return _relaying(kit, "http", kit.template(address.strip()), encode)


def _uwsgi(argument: str, kit: Kit) -> Action:
    address, *rest = (part.strip() for part in argument.split(","))
    modifier1, modifier2 = (
        _modifier(rest[place] if place < len(rest) else "") for place in (0, 1)
    )
    app_id = kit.template(rest[2]) if len(rest) > 2 else None

    def encode(visit: Visit) -> tuple[bytes, bool]:
        if _lacks_length(visit):
            _buffer(visit)  # the uwsgi protocol has no chunks
        variables = uwsgi_variables(visit.environ)
        if app_id is not None:
            variables[b"UWSGI_APPID"] = app_id.render(visit).encode("latin-1")
        try:
            return encode_packet(modifier1, encode_vars(variables), modifier2), False
        except (ValueError, OverflowError):
            raise UpstreamError("the request is too large for a uwsgi packet") from None

    return _relaying(kit, "uwsgi", kit.template(address), encode)


def _lacks_length(visit: Visit) -> bool:
    return visit.exchange.input is not None and not visit.variable("CONTENT_LENGTH")


def _buffer(visit: Visit) -> None:
    """Read the body, so that its length is known."""
    exchange = visit.exchange
    exchange.connection.buffer_body(exchange, _IN_MEMORY)
    if exchange.environ["CONTENT_LENGTH"] == "0":
        exchange.environ["CONTENT_LENGTH"] = ""


def _modifier(text: str) -> int:
    if not text:
        return 0
    if not text.isdigit() or int(text) > 255:
        raise ConfigError(f"a modifier is a number below 256: {text!r}")
    return int(text)


RELAY_ACTIONS: Mapping[str, ActionFactory] = {
    "http": _http,
    "httpdumb": _http,
    "proxyhttp": _http,
    "proxyuwsgi": _uwsgi,
    "uwsgi": _uwsgi,
}
