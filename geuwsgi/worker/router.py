"""From settings to a router process.

What one kind of router needs is put together here; what it does stands in
`geuwsgi.routers` and, for HTTP, `geuwsgi.server.fronting`.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from gevent import get_hub

from geuwsgi.errors import ConfigError
from geuwsgi.log.stamp import line_stamp
from geuwsgi.net.exposure import exposure_warnings, is_public
from geuwsgi.net.heldfiles import HeldFiles
from geuwsgi.net.listener import DATAGRAMS
from geuwsgi.net.tls import Certificate, ServerContexts
from geuwsgi.net.tlsoptions import server_contexts
from geuwsgi.offload.upstream import Connector
from geuwsgi.protocol.forwarded import TrustedProxies
from geuwsgi.routers.nodes import Table
from geuwsgi.routers.options import RouterOptions
from geuwsgi.routers.plan import (
    Place,
    for_router,
    origin_of,
    router_places,
)
from geuwsgi.routers.relays import (
    Relay,
    raw_opening,
    tls_opening,
    tls_stream,
    uwsgi_opening,
)
from geuwsgi.routers.routes import Routes
from geuwsgi.routers.service import RelayFront, RouterService, router_snapshot
from geuwsgi.routers.signatures import SignatureCheck
from geuwsgi.routers.subscriptions import Ears, Forwarder, Rules, Subscriptions
from geuwsgi.server.edges import Edge, edge_of
from geuwsgi.server.forwarding import Forwarding
from geuwsgi.server.fronting import Fronting, parse_variable
from geuwsgi.server.transform import compress_marked
from geuwsgi.shared import scoreboard
from geuwsgi.worker.assemble import CONNECT_TIMEOUT, limits_of
from geuwsgi.worker.destinations import Destinations
from geuwsgi.worker.privileges import find_uid
from geuwsgi.worker.serve import Server, base_environ

if TYPE_CHECKING:
    from geuwsgi.background.commons import Commons
    from geuwsgi.config import Configuration
    from geuwsgi.net.listener import Listener
    from geuwsgi.options import Settings
    from geuwsgi.shared.notebooks import Notebooks

#: Requests that are relayed hold a core for a moment only.
_CORES = 4096


class NotebookPage:
    """One note of `geuwsgi.shared.notebooks`."""

    def __init__(self, notebooks: Notebooks, number: int) -> None:
        self._notebooks = notebooks
        self._number = number

    def write(self, text: bytes) -> bool:
        return self._notebooks.write(self._number, text)

    def read(self) -> bytes:
        return self._notebooks.read(self._number)

    def stamp(self) -> bytes:
        return self._notebooks.stamp(self._number)


def place_of(settings: Settings, number: int) -> Place:
    """What the router process ``number``, counted from 1, is."""
    return router_places(settings)[number - 1]


def check_router(
    configuration: Configuration,
    kind: str,
    *,
    listeners: Sequence[Listener],
    commons: Commons,
    held: HeldFiles,
) -> None:
    """Raise ConfigError, with its place, for options that cannot be meant.

    For the template, before it forks routers that would all fail.
    """
    router = _Router(
        configuration.settings, kind, listeners, commons, held, _print_line
    )
    try:
        router.check()
    except ConfigError as exc:
        option = exc.message.partition(":")[0]
        origin = exc.origin or origin_of(configuration, option)
        raise ConfigError(exc.message, origin) from exc


def make_router(
    settings: Settings,
    place: Place,
    *,
    listeners: Sequence[Listener],
    commons: Commons,
    held: HeldFiles,
) -> RouterService:
    """Build the router of this process, which was forked for it.

    ``held`` has the keys that only root could read.
    """
    stamp = line_stamp(settings.logging)

    def report(line: str) -> None:
        print(f"{stamp() if stamp else ''}{line}", file=sys.stderr, flush=True)

    return _Router(settings, place.kind, listeners, commons, held, report).build(place)


class _Router:
    def __init__(
        self,
        settings: Settings,
        kind: str,
        listeners: Sequence[Listener],
        commons: Commons,
        held: HeldFiles,
        report: Callable[[str], None],
    ) -> None:
        self.held = held
        self.contexts: list[ServerContexts] = []
        self.settings = settings
        self.kind = kind
        self.options = RouterOptions.of(settings, kind)
        self.commons = commons
        self.report = report
        self.listeners = for_router(listeners, kind)
        self.datagrams = for_router(listeners, kind, "subscription-server")
        self.stats = for_router(listeners, kind, "stats")
        self.own = listeners
        subscription = settings.subscription
        self.table = Table(
            tolerance_s=subscription.subscription_tolerance,
            dot_split=subscription.subscription_dotsplit,
        )

    def check(self) -> None:
        self._destinations().routes(load_code=False)
        self._subscriptions()
        self._warn_of_strangers()
        if self.kind == "http":
            self._variables()
        for listener in self.listeners:
            if self.kind == "http":
                self._edge(listener)
            elif self.kind == "sslrouter":
                self._contexts(listener)

    def _warn_of_strangers(self) -> None:
        for line in exposure_warnings(self.listeners):
            self.report(line)
        if self.settings.subscription.subscriptions_sign_check:
            return
        for listener in self.datagrams:
            if is_public(listener.socket):
                self.report(
                    f"*** WARNING: whoever can reach {listener.kind} {listener.name} "
                    "may take any key: bind it to a private address or a unix socket, "
                    "or ask for signatures (subscriptions-sign-check) ***"
                )

    def build(self, place: Place) -> RouterService:
        hub = get_hub()
        options = self.options
        connector = Connector(
            hub,
            connect_timeout=options.connect_timeout or CONNECT_TIMEOUT,
            timeout=options.timeout,
        )
        routes, static = self._destinations().routes(load_code=True)
        front: Server | RelayFront
        if self.kind == "http":
            front = self._http_front(connector, routes)
        else:
            front = self._relay_front(hub, connector, routes)
        subscriptions = self._subscriptions()
        ears: list[Ears] = []
        note = None
        if subscriptions is not None:
            note = self._note()
            if place.number == 1:
                use_credentials = self._wants_credentials()
                ears = [
                    Ears(
                        listener.socket,
                        hub,
                        subscriptions,
                        with_credentials=use_credentials,
                    )
                    for listener in self.datagrams
                ]
        service = RouterService(
            hub,
            front,
            table=self.table,
            report=self.report,
            subscriptions=subscriptions,
            ears=ears,
            note=note,
            cheap=options.cheap,
        )
        addresses = [one.name for one in (*self.listeners, *self.datagrams)]

        def active() -> int:
            if isinstance(front, RelayFront):
                return front.active
            return len(front.site.connections)

        service.snapshot = lambda: router_snapshot(
            self.kind,
            version="2.0.31",
            addresses=addresses,
            active=active(),
            table=self.table,
            static=static,
            now=monotonic(),
            cheap=options.cheap and not self.table,
        )
        service.serve_statistics(self.stats)
        if self.contexts:
            service.offer = self._offer
        return service

    def _offer(self, files: dict[str, tuple[str, str, str]]) -> None:
        """Show the certificates that subscribers bring along."""
        certificates = {
            name: Certificate(certificate, key or certificate, client_ca=client_ca)
            for name, (certificate, key, client_ca) in files.items()
        }
        for contexts in self.contexts:
            contexts.offer(certificates)

    def _destinations(self) -> Destinations:
        return Destinations(
            self.settings,
            self.options,
            self.table,
            commons=self.commons,
            report=self.report,
            has_subscriptions=bool(self.datagrams),
        )

    # -- announcements -----------------------------------------------------------------

    def _wants_credentials(self) -> bool:
        subscription = self.settings.subscription
        return bool(
            subscription.subscriptions_use_credentials
            or subscription.subscriptions_credentials_check
            or subscription.subscriptions_sign_skip_uid
        )

    def _subscriptions(self) -> Subscriptions | None:
        options = self.options
        if not self.datagrams:
            return None
        subscription = self.settings.subscription
        check = None
        for text in subscription.subscriptions_sign_check[-1:]:
            check = SignatureCheck(
                text, tolerance_s=subscription.subscriptions_sign_check_tolerance
            )
        rules = Rules(
            check,
            frozenset(
                find_uid(uid) for uid in subscription.subscriptions_sign_skip_uid
            ),
            subscription.subscriptions_credentials_check,
            subscription.subscription_vassal_required,
        )
        forward = None
        if options.resubscribe:
            address = next(
                (one.name for one in self.listeners if one.protocol != DATAGRAMS), ""
            )
            forward = Forwarder(
                options.resubscribe, address, bind=options.resubscribe_bind
            )
        return Subscriptions(
            self.table,
            rules,
            clock=monotonic,
            report=self.report,
            name=self.kind,
            forward=forward,
        )

    def _note(self) -> NotebookPage | None:
        notebooks = self.commons.notebooks
        if notebooks is None or self.kind not in notebooks.names:
            return None
        return NotebookPage(notebooks, notebooks.number(self.kind))

    # -- fronts ------------------------------------------------------------------------

    def _edge(self, listener: Listener) -> Edge:
        settings = self.settings
        return edge_of(
            listener, settings.http, settings.sockets, self.report, self.held
        )

    def _variables(self) -> dict[str, str]:
        return dict(parse_variable(text) for text in self.settings.http.http_var)

    def _http_front(self, connector: Connector, routes: Routes) -> Server:
        settings = self.settings
        http = settings.http
        edges = [self._edge(listener) for listener in self.listeners]
        self.contexts += [edge.tls for edge in edges if edge.tls is not None]
        server = Server(
            listeners=self.listeners,
            find_application=lambda environ: None,
            # Not the scoreboard's: workers would take the router for a sibling.
            counters=memoryview(bytearray(8 * scoreboard.FIELDS)).cast("q"),
            cores=_CORES,
            limits=lambda listener: limits_of(settings, listener),
            edges=edges,
            max_fields=max(settings.limits.max_vars, 128),
            environ=base_environ(_CORES),
            max_connections=settings.limits.max_connections,
            max_connections_per_address=settings.limits.max_connections_per_address,
        )
        fronting = Fronting(
            connector,
            routes,
            report=server.site.report,
            variables=self._variables(),
            modifiers=(http.http_modifier1, http.http_modifier2),
            speaks_http=http.http_backend_http,
            quiet=self.options.quiet,
            buffer_above=self.options.post_buffering,
            server_name_is_host=http.http_server_name_as_http_host,
            keeps_slashes=http.http_path_info_no_decode_slashes,
        )
        site = server.site
        site.stamp = line_stamp(settings.logging)
        site.stages = (fronting,)
        if http.http_auto_gzip:
            site.stages = (compress_marked, *site.stages)
        if http.trusted_proxies:
            trusted = TrustedProxies(http.trusted_proxies)
            site.stages = (Forwarding(trusted), *site.stages)
            site.trust_forwarded_proto = False
        return server

    def _relay_front(
        self, hub: Any, connector: Connector, routes: Routes
    ) -> RelayFront:
        options = self.options
        relay = Relay(
            hub,
            connector,
            routes,
            timeout=options.timeout,
            report=self.report,
            name=self.kind,
            quiet=options.quiet,
        )
        front = RelayFront(hub, relay, self.report)
        for listener in self.listeners:
            if self.kind == "fastrouter":
                front.add(
                    listener,
                    uwsgi_opening(
                        force_key=options.force_key,
                        post_buffering=options.post_buffering,
                    ),
                )
            elif self.kind == "rawrouter":
                front.add(
                    listener,
                    raw_opening(
                        listener.name,
                        xclient=options.xclient,
                        proxy=options.proxy_protocol,
                    ),
                )
            else:
                self._add_tls(front, hub, listener)
        return front

    def _contexts(self, listener: Listener) -> ServerContexts:
        try:
            return server_contexts(
                listener.kind.removesuffix("2"),
                listener.tls,
                self.settings.http,
                self.report,
                held=self.held,
            )
        except ConfigError as exc:
            message = f"{listener.kind}: {exc.message}"
            raise ConfigError(message, listener.origin) from exc

    def _add_tls(self, front: RelayFront, hub: Any, listener: Listener) -> None:
        contexts = self._contexts(listener)
        self.contexts.append(contexts)
        names: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        front.add(
            listener,
            tls_opening(
                listener.name,
                names,
                by_sni=self.options.sni,
                proxy=self.options.proxy_protocol,
            ),
            lambda sock: tls_stream(sock, hub, contexts, names),
        )


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
