"""From settings to a server: the only place that knows both.

What acts is told values, not settings; here they are taken out of the sections.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.log.lineformat import Surroundings
from geuwsgi.log.outlet import request_outlet
from geuwsgi.log.request import request_logger
from geuwsgi.log.stamp import line_stamp
from geuwsgi.net.backlog import waiting_connections
from geuwsgi.net.exposure import exposure_warnings
from geuwsgi.net.heldfiles import HeldFiles
from geuwsgi.net.listeners import protocol_of
from geuwsgi.server.earlyhints import early_hints
from geuwsgi.server.edges import Edge, edge_of
from geuwsgi.server.site import Limits, Site
from geuwsgi.server.websocket.build import build_websockets
from geuwsgi.shared import scoreboard
from geuwsgi.worker.mapping import sockets_of_others
from geuwsgi.worker.memory import read_memory
from geuwsgi.worker.modifiers import modifiers_of
from geuwsgi.worker.serve import Server, base_environ

if TYPE_CHECKING:
    from geuwsgi.background.commons import Commons
    from geuwsgi.background.rpc import RpcTable
    from geuwsgi.config import Configuration
    from geuwsgi.net.listener import Listener
    from geuwsgi.options import Settings
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.sticky import Sticky
    from geuwsgi.shared.scoreboard import ScoreboardSlot
    from geuwsgi.wsgi.applications import Applications

#: uWSGI raises socket-timeout to this under gevent.
_LEAST_SOCKET_TIMEOUT = 30.0

#: Protocols of uWSGI that are told apart but not spoken.
_NOT_SPOKEN = {
    "puwsgi": "connections of the uwsgi protocol are not kept; use socket",
    "raw": "applications for bare connections are not run",
}

#: Kinds of listeners that are uWSGI's router process there, with its timeouts.
_ROUTER_KINDS = frozenset({"http", "https", "https2"})

#: Seconds to wait for a backend, unless http-connect-timeout says otherwise.
CONNECT_TIMEOUT = 5.0


def cores_of(settings: Settings) -> int:
    """Return how many requests a worker runs at once.

    Without ``gevent`` a site asked for one request at a time, or for ``threads``;
    greenlets serve those too.
    """
    workers = settings.workers
    return workers.gevent or workers.async_ or max(1, workers.threads)


def limits_of(settings: Settings, listener: Listener) -> Limits:
    """Return what peers of ``listener`` may do."""
    http = settings.http
    timeout = max(settings.sockets.socket_timeout, _LEAST_SOCKET_TIMEOUT)
    head_timeout = keepalive_timeout = timeout
    keep_alive = True
    if listener.kind in _ROUTER_KINDS:
        timeout = http.http_timeout
        head_timeout = http.http_headers_timeout or timeout
        keepalive_timeout = timeout
        if http.http_keepalive > 1:
            keepalive_timeout = float(http.http_keepalive)
        keep_alive = http.http_keepalive > 0
    return Limits(
        head_bytes=settings.limits.buffer_size,
        body_bytes=settings.limits.limit_post,
        head_timeout=head_timeout,
        body_timeout=timeout,
        write_timeout=settings.sockets.so_send_timeout or timeout,
        keepalive_timeout=keepalive_timeout,
        post_buffering=settings.wsgi.post_buffering,
        keep_alive=keep_alive,
    )


def build_edges(
    settings: Settings, listeners: Sequence[Listener], held: HeldFiles | None = None
) -> list[Edge]:
    """Load the certificates of all listeners, before workers are forked.

    Raises ConfigError.
    """

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    for line in exposure_warnings(listeners):
        report(line)
    return [
        edge_of(listener, settings.http, settings.sockets, report, held)
        for listener in listeners
    ]


def build_server(
    configuration: Configuration,
    *,
    listeners: Sequence[Listener],
    applications: Applications,
    slot: ScoreboardSlot,
    worker_id: int,
    commons: Commons,
    functions: RpcTable,
    edges: Sequence[Edge] = (),
    request_log_fd: int = 2,
) -> Server:
    """Build the server of one worker, in the process that will serve."""
    settings = configuration.settings
    environ = base_environ(cores_of(settings))
    environ["wsgi.multiprocess"] = settings.workers.processes > 1
    environ["wsgi.early_hints"] = early_hints
    if settings.wsgi.wsgi_disable_file_wrapper:
        del environ["wsgi.file_wrapper"]
    server = Server(
        listeners=listeners,
        find_application=applications.find,
        counters=slot.view,
        cores=cores_of(settings),
        limits=lambda listener: limits_of(settings, listener),
        edges=edges,
        max_fields=max(settings.limits.max_vars, 128),
        environ=environ,
        harakiri=settings.workers.harakiri,
        worker_id=worker_id,
        max_connections=settings.limits.max_connections,
        max_connections_per_address=settings.limits.max_connections_per_address,
    )
    server.site.unsent.limit(
        settings.limits.slow_readers_memory, settings.limits.slow_readers_disk
    )
    if settings.workers.disable_async_warn_on_queue_full:
        server.warns_when_full = False
    if threshold := settings.workers.harakiri_queue_threshold:
        server.may_abort = lambda: any(
            waiting_connections(listener.socket)[0] > threshold
            for listener in listeners
        )
    server.leave_to_others(
        sockets_of_others(settings.sockets.map_socket, worker_id, len(listeners))
    )
    site = server.site
    board = slot.scoreboard
    server.siblings = [
        board.row(index) for index in range(board.slots) if index != slot.index
    ]
    site.shows_exceptions = settings.wsgi.catch_exceptions
    _set_request_log(server, settings, slot, request_log_fd)
    site.stamp = line_stamp(settings.logging)
    _set_file_sender(site, settings)
    if asks_for_stages(settings):
        from geuwsgi.worker.stages import add_stages  # with all rules and files

        add_stages(server, configuration, commons, functions, slot, listeners)
    if settings.workers.sticky and commons.handovers is not None:
        server.stick(_sticky(settings, commons, worker_id), commons.handovers)
    websockets = build_websockets(settings.websockets)
    site.upgrade_offers += (websockets.offer,)
    server.on_second.append(websockets.tick)
    server.on_drain.append(websockets.drain)
    return server


def _sticky(settings: Settings, commons: Commons, worker_id: int) -> Sticky:
    from geuwsgi.server.sticky import Sticky, parse_sticky

    workers = settings.workers
    kind, name = parse_sticky(workers.sticky or "")
    sessions = commons.sessions.local()
    assert sessions is not None
    return Sticky(kind, name, sessions, worker_id=worker_id, workers=workers.processes)


def asks_for_stages(settings: Settings) -> bool:
    """Whether anything but the application may answer, or change its answers."""
    return bool(
        settings.static.changed()
        or settings.offload.changed()
        or settings.routing.changed()
        or settings.headers.changed()
        or settings.cache.check_cache is not None
        or settings.wsgi.upload_progress
        or settings.http.http_auto_gzip
        or settings.http.trusted_proxies
    )


def check_rules(configuration: Configuration) -> None:
    """Raise ConfigError or ConfigErrors for rules that no worker could build.

    For the template, before it forks workers that would all fail.
    """
    settings = configuration.settings
    if settings.workers.sticky:
        from geuwsgi.server.sticky import parse_sticky

        parse_sticky(settings.workers.sticky)
    for spec in configuration.listeners:
        spoken, _ = protocol_of(spec.kind, settings.sockets.protocol or "uwsgi")
        if spoken in _NOT_SPOKEN:
            raise ConfigError(f"{spec.kind}: {_NOT_SPOKEN[spoken]}", spec.origin)
    sockets_of_others(settings.sockets.map_socket, 1, len(configuration.listeners))
    modifiers_of(
        {number: lambda *_: None for number in range(1, 256)},
        allowed=settings.limits.allowed_modifiers,
        remap=settings.limits.remap_modifier,
    )
    if asks_for_stages(settings):
        from geuwsgi.worker.stages import check_stages

        check_stages(configuration)


def _set_file_sender(site: Site, settings: Settings) -> None:
    offload = settings.offload
    if offload.offload_threads or offload.disable_sendfile:
        from geuwsgi.offload.files import FileSender

        sender = FileSender(
            use_sendfile=not offload.disable_sendfile, threads=offload.offload_threads
        )
        site.send_file = sender.send


def _set_request_log(
    server: Server, settings: Settings, slot: ScoreboardSlot, fileno: int
) -> None:
    site = server.site
    logging = settings.logging
    board = slot.scoreboard
    rows = [board.row(index) for index in range(board.slots)]
    around = Surroundings(
        pid=os.getpid(),
        worker_id=site.worker_id,
        memory=read_memory,
        total_requests=lambda: sum(
            [
                row[scoreboard.REQUESTS] + row[scoreboard.KEPT_REQUESTS]
                for row in rows
                if row[scoreboard.PID]
            ]
        ),
    )
    outlet = request_outlet(fileno, logging.log_buffer)
    server.on_second.append(outlet.tick)
    atexit.register(outlet.close)
    logger = request_logger(
        logging,
        around,
        outlet.write,
        memory_report=settings.limits.memory_report,
        vhost=settings.python.vhost,
    )
    site.log_forced = logger
    if not logging.disable_logging or any(
        (
            logging.log_4xx,
            logging.log_5xx,
            logging.log_slow,
            logging.log_big,
            logging.log_zero,
            logging.log_sendfile,
            logging.log_ioerror,
        )
    ):
        site.log_request = logger
    if settings.stats.latency_percentiles:
        from geuwsgi.server.latencies import Latencies

        def log_forced(exchange: Exchange) -> None:
            if logger is not None and exchange.log_forced:
                logger(exchange)

        latencies = Latencies(slot.view, site.log_request or log_forced)
        site.log_request = latencies.count
        server.on_second.append(latencies.tick)
