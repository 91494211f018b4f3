"""Which routers a configuration asks for. No gevent here: the master counts, too.

A router is a kind and a number of processes. ``http`` is one only if its requests go
to other instances; else the workers serve them.

Every process asks, and most sites have none: the options of routers
(`geuwsgi.routers.options`) are imported where there may be one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import (
    Address,
    SharedAddress,
    TcpAddress,
    parse_address,
    parse_backend,
)

if TYPE_CHECKING:
    from geuwsgi.config import Configuration
    from geuwsgi.options import Settings

#: Kind of router → kinds of listeners on which it serves.
KINDS: dict[str, tuple[str, ...]] = {
    "http": ("http", "https", "https2"),
    "fastrouter": ("fastrouter",),
    "rawrouter": ("rawrouter",),
    "sslrouter": ("sslrouter", "sslrouter2"),
}

#: Listeners that no worker ever serves.
ROUTER_ONLY = frozenset(
    [
        *(
            f"{name}-{what}"
            for name in KINDS
            for what in ("subscription-server", "stats")
        ),
        *(kind for name, kinds in KINDS.items() if name != "http" for kind in kinds),
    ]
)

_HTTP_KINDS = frozenset({"http", "https", "https2"})

#: Options of the sockets that workers listen on, besides http.
_SOCKETS = (
    *("socket", "uwsgi_socket", "suwsgi_socket", "puwsgi_socket", "raw_socket"),
    *("http_socket", "http11_socket", "https_socket"),
    *("fastcgi_socket", "fastcgi_nph_socket", "scgi_socket", "scgi_nph_socket"),
)


@dataclass(frozen=True)
class Place:
    """One router process: its kind, and its number among those of the kind."""

    kind: str
    number: int


def is_http_routed(settings: Settings) -> bool:
    """Whether requests of http listeners go to other instances.

    They do not where ``http-to`` names this instance's own sockets alone: the workers
    behind them are these. Raises ConfigError for a backend that is none.
    """
    http = settings.http
    if not (http.http or http.https or http.https2):
        return False
    from geuwsgi.routers.options import RouterOptions

    options = RouterOptions.of(settings, "http")
    if not options.has_destinations:
        return False
    if options.to:
        own = own_addresses(settings)
        others = [text for text in options.to if not is_own(parse_backend(text), own)]
        rest = replace(options, to=())
        return bool(others) or rest.has_destinations
    return True


def own_addresses(settings: Settings) -> list[Address]:
    """Where the workers of this instance listen, without http."""
    sockets = settings.sockets
    values = [text for name in _SOCKETS for text in getattr(sockets, name)]
    addresses: list[Address] = []
    for text in values:
        try:
            address = parse_address(text.partition(",")[0])
        except ConfigError:
            continue  # told where the sockets are opened
        if not isinstance(address, SharedAddress):
            addresses.append(address)
    return addresses


def own_socket(settings: Settings, index: str, option: str) -> str:
    """The address of this instance's socket ``index``. Raises ConfigError."""
    values = [text for name in _SOCKETS for text in getattr(settings.sockets, name)]
    number = int(index) if index.isascii() and index.isdigit() else 0
    if number >= len(values):
        raise ConfigError(
            f"{option}: there is no socket {number} ({len(values)} given)"
        )
    return str(values[number]).partition(",")[0]


def is_own(address: Address, own: Iterable[Address]) -> bool:
    """Whether one of the addresses ``own`` is meant by ``address``."""
    return any(_is_same(address, one) for one in own)


def _is_same(address: Address, own: Address) -> bool:
    if isinstance(own, TcpAddress) and isinstance(address, TcpAddress):
        anywhere = own.host in ("0.0.0.0", "::")
        local = anywhere and address.host in ("127.0.0.1", "localhost", "::1")
        return own.port == address.port and (own.host == address.host or local)
    return own == address


def active_kinds(settings: Settings) -> list[str]:
    """The kinds of routers that run. Raises ConfigError."""
    routers = settings.routers
    asked = {
        "http": is_http_routed(settings),
        "fastrouter": bool(routers.fastrouter),
        "rawrouter": bool(routers.rawrouter),
        "sslrouter": bool(routers.sslrouter or routers.sslrouter2),
    }
    return [kind for kind, is_asked in asked.items() if is_asked]


def router_places(settings: Settings) -> list[Place]:
    """The router processes, in the order of their numbers. Raises ConfigError."""
    kinds = active_kinds(settings)
    if not kinds:
        return []
    from geuwsgi.routers.options import RouterOptions

    return [
        Place(kind, number)
        for kind in kinds
        for number in range(1, max(RouterOptions.of(settings, kind).processes, 1) + 1)
    ]


def check_plan(configuration: Configuration) -> None:
    """Raise ConfigError, with its place, for routers that cannot be meant."""
    settings = configuration.settings
    if not (settings.routers.changed() or settings.http.changed()):
        return
    from geuwsgi.routers.options import RouterOptions

    for kind in KINDS:
        options = RouterOptions.of(settings, kind)
        for name, values in (
            ("to", options.to),
            ("fallback", options.fallback),
            ("resubscribe", options.resubscribe),
        ):
            for value in values:
                try:
                    parse_backend(value)
                except ConfigError as exc:
                    option = f"{kind}-{name}"
                    origin = origin_of(configuration, option, value)
                    raise ConfigError(f"{option}: {exc.message}", origin) from exc
    for kind in active_kinds(settings):
        options = RouterOptions.of(settings, kind)
        if not (options.has_destinations or options.fallback):
            raise ConfigError(
                f"{kind}: nothing says where to send what comes in; name backends "
                f"({kind}-to = 127.0.0.1:3031) or take announcements "
                f"({kind}-subscription-server = 127.0.0.1:7000)",
                origin_of(configuration, kind),
            )


def origin_of(configuration: Configuration, option: str, value: str = "") -> str:
    """Where an option stands, with that value if it is given."""
    for name, text, origin in configuration.assignments:
        if name == option and (not value or text == value):
            return origin
    return ""


HasKind = TypeVar("HasKind", bound=Any)


def for_workers(listeners: Sequence[HasKind], settings: Settings) -> list[HasKind]:
    """The listeners that workers serve."""
    routed = ROUTER_ONLY | (_HTTP_KINDS if is_http_routed(settings) else frozenset())
    return [listener for listener in listeners if listener.kind not in routed]


def for_router(
    listeners: Sequence[HasKind], kind: str, what: str = ""
) -> list[HasKind]:
    """The listeners on which a router serves.

    ``what`` is "subscription-server" or "stats" for those sockets instead.
    """
    kinds = (f"{kind}-{what}",) if what else KINDS[kind]
    return [listener for listener in listeners if listener.kind in kinds]
