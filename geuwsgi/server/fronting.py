"""``http-to`` and its relatives: requests of the http listeners go to other instances.

uWSGI has a router process for that; here it is a stage of the workers that relays
without holding a core. A backend that cannot be reached is left alone for
``http-gracetime`` seconds, and the request is tried at the next one as long as nothing
of it can have been done twice: the connection failed, or the backend ended it before
answering a request that has no body and may be repeated (RFC 9110 §9.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import Address, TcpAddress, UnixAddress
from geuwsgi.offload.relay import relay
from geuwsgi.offload.upstream import Connector, UpstreamError, parse_backend
from geuwsgi.protocol.upstream import encode_request, uwsgi_variables
from geuwsgi.protocol.uwsgi import encode_packet, encode_vars
from geuwsgi.server.routing.answers import answer_status

if TYPE_CHECKING:
    from geuwsgi.net.listener import Listener
    from geuwsgi.options import Http
    from geuwsgi.server.exchange import Exchange

_ROUTER_KINDS = frozenset({"http", "https", "https2"})
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# What may become part of a path: no slash, nothing that begins with a dot.
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]|\.(?!\.))*", re.ASCII)
_GRACE_S = 30.0


class Backend:
    """One server and whether it was reached lately."""

    __slots__ = ("address", "dead_until")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.dead_until = 0.0


class Backends:
    """The fixed backends of ``http-to``, taken in turn, and those of last resort."""

    def __init__(
        self,
        addresses: Iterable[Address],
        fallback: Iterable[Address] = (),
        *,
        grace_s: float = _GRACE_S,
    ) -> None:
        self._backends = [Backend(address) for address in addresses]
        self._fallback = [Backend(address) for address in fallback]
        self._grace_s = grace_s
        self._turn = 0

    def __bool__(self) -> bool:
        return bool(self._backends or self._fallback)

    def in_turn(self, now: float) -> Iterator[Backend]:
        """The backends to try for one request, best first.

        Those that failed lately come last: better tried than nobody.
        """
        count = len(self._backends)
        start = self._turn
        self._turn = (start + 1) % max(count, 1)
        ordered = self._backends[start:] + self._backends[:start]
        yield from (backend for backend in ordered if backend.dead_until <= now)
        yield from self._fallback
        yield from (backend for backend in ordered if backend.dead_until > now)

    def failed(self, backend: Backend, now: float) -> None:
        """Leave ``backend`` alone for a while."""
        backend.dead_until = now + self._grace_s


class Fronting:
    """A stage: requests on some listeners are answered by backends."""

    def __init__(
        self,
        connector: Connector,
        backends: Backends,
        *,
        listeners: Iterable[int],
        clock: Callable[[], float],
        report: Callable[[str], None],
        by_host: Callable[[str], Address | None] | None = None,
        variables: Mapping[str, str] | None = None,
        modifiers: tuple[int, int] = (0, 0),
        speaks_http: bool = False,
    ) -> None:
        """``by_host`` finds the backend of a host; ``backends`` are the others'."""
        self._connector = connector
        self._backends = backends
        self._listeners = frozenset(listeners)
        self._clock = clock
        self._report = report
        self._by_host = by_host
        self._variables = dict(variables or {})
        self._modifiers = modifiers
        self._speaks_http = speaks_http

    def __call__(self, exchange: Exchange) -> bool:
        """Relay the request if its listener is one of ours."""
        if exchange.connection.listener not in self._listeners:
            return False
        exchange.via = "route"
        problem = "no backend for this host"
        for backend in self._candidates(exchange):
            try:
                self._relay(exchange, backend.address)
                return True
            except _NotReached as exc:
                self._backends.failed(backend, self._clock())
                problem = str(exc)
            except UpstreamError as exc:
                problem = str(exc)
                if exchange.headers_sent or exchange.upgraded:
                    exchange.cut()
                    exchange.complete = True
                    break
                if exchange.input is not None or exchange.method not in _REPEATABLE:
                    break
            self._report(f"http: {problem} ({exchange.environ.get('REQUEST_URI')})")
        if not exchange.complete:
            self._report(f"http: {problem} ({exchange.environ.get('REQUEST_URI')})")
            answer_status(exchange, 502)
        return True

    def _candidates(self, exchange: Exchange) -> Iterator[Backend]:
        if self._by_host is not None:
            address = self._by_host(str(exchange.environ.get("HTTP_HOST", "")))
            if address is not None:
                yield Backend(address)
        yield from self._backends.in_turn(self._clock())

    def _relay(self, exchange: Exchange, address: Address) -> None:
        head, chunked = self._encode(exchange)
        try:
            upstream = self._connector.connect(address)
        except UpstreamError as exc:
            raise _NotReached(str(exc)) from exc
        try:
            relay(exchange, upstream, head, chunk_body=chunked)
        finally:
            upstream.close()

    def _encode(self, exchange: Exchange) -> tuple[bytes, bool]:
        environ = exchange.environ
        if self._speaks_http:
            head = encode_request(environ)
            return head, b"\r\nTransfer-Encoding: chunked\r\n" in head
        variables = uwsgi_variables(environ)
        variables[b"UWSGI_ROUTER"] = b"http"
        for name, value in self._variables.items():
            variables[name.encode("utf-8")] = value.encode("utf-8")
        modifier1, modifier2 = self._modifiers
        try:
            block = encode_vars(variables)
            return encode_packet(modifier1, block, modifier2), False
        except (ValueError, OverflowError):
            raise UpstreamError("the request is too large for a uwsgi packet") from None


class _NotReached(UpstreamError):
    """Nothing of the request has left for the backend."""


def host_paths(
    pattern: str | None, base: str | None
) -> Callable[[str], Address | None]:
    """The backend of a host: ``%s`` of ``http-use-pattern``, or a socket in a directory
    (``http-use-base``). A host that could lead elsewhere has none.
    """

    def find(host: str) -> Address | None:
        host = host.lower()
        if not host.startswith("["):
            host = host.partition(":")[0]
        if not _HOST.fullmatch(host):
            return None
        if pattern:
            return parse_backend(pattern.replace("%s", host))
        return UnixAddress(f"{(base or '').rstrip('/')}/{host}")

    return find


def _parse_variable(value: str) -> tuple[str, str]:
    name, equals, text = value.partition("=")
    if not equals or not name:
        raise ConfigError(f"http-var needs key=value: {value!r}")
    return name, text


def _is_own(address: Address, listeners: Iterable[Listener]) -> bool:
    def same(own: Address) -> bool:
        if isinstance(own, TcpAddress) and isinstance(address, TcpAddress):
            anywhere = own.host in ("0.0.0.0", "::")
            local = anywhere and address.host in ("127.0.0.1", "localhost", "::1")
            return own.port == address.port and (own.host == address.host or local)
        return own == address

    return any(
        same(listener.address)
        for listener in listeners
        if listener.kind not in _ROUTER_KINDS
    )


def fronting_of(
    http: Http,
    listeners: Sequence[Listener],
    *,
    make_connector: Callable[[], Connector],
    clock: Callable[[], float],
    report: Callable[[str], None],
) -> Fronting | None:
    """Build the stage, or None if the instance answers its http listeners itself.

    It does where ``http-to`` names its own sockets: the workers behind them are these.
    Raises ConfigError.
    """
    fronts = [
        index
        for index, listener in enumerate(listeners)
        if listener.kind in _ROUTER_KINDS
    ]
    addresses = [parse_backend(value) for value in http.http_to]
    others = [address for address in addresses if not _is_own(address, listeners)]
    fallback = [parse_backend(value) for value in http.http_fallback]
    by_host = None
    if http.http_use_pattern or http.http_use_base:
        by_host = host_paths(http.http_use_pattern, http.http_use_base)
    if not fronts or not (others or by_host) or (addresses and not others):
        return None
    return Fronting(
        make_connector(),
        Backends(others, fallback, grace_s=http.http_gracetime or _GRACE_S),
        listeners=fronts,
        clock=clock,
        report=report,
        by_host=by_host,
        variables=dict(_parse_variable(value) for value in http.http_var),
        modifiers=(http.http_modifier1, http.http_modifier2),
        speaks_http=http.http_backend_http,
    )
