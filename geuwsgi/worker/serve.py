"""The serving part of a worker: listeners in, answered requests out.

``Server`` owns the acceptors, the connections with their greenlets, and the ticker:
one timer a worker, which is the only clock its deadlines have.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from _socket import socketpair
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from resource import RLIMIT_NOFILE, getrlimit
from typing import TYPE_CHECKING, Any
from weakref import getweakrefcount

import gevent
import gevent.event
from gevent import get_hub
from greenlet import getcurrent, greenlet

from geuwsgi.net.clock import Clock
from geuwsgi.net.server import Acceptor
from geuwsgi.net.stream import Stream
from geuwsgi.offload.relay import join_streams
from geuwsgi.protocol.http1 import HeadParser
from geuwsgi.server.abort import RequestAborted
from geuwsgi.server.answering import serve
from geuwsgi.server.connection import Connection, overdue_streams
from geuwsgi.server.context import current_exchange, on_small_stack
from geuwsgi.server.cores import Cores
from geuwsgi.server.crowd import Crowd, Refusals
from geuwsgi.server.edges import PLAIN, Edge
from geuwsgi.server.exchange import Exchange, overdue
from geuwsgi.server.site import Limits, Site
from geuwsgi.server.slowbodies import SlowBodies
from geuwsgi.server.sticky import Sticky
from geuwsgi.shared import scoreboard
from geuwsgi.shared.handovers import Handovers
from geuwsgi.worker.endpoint import Endpoint
from geuwsgi.worker.memory import give_memory_back
from geuwsgi.wsgi.filewrapper import FileWrapper
from geuwsgi.wsgi.input import EmptyInput

if TYPE_CHECKING:
    import _socket

    from geuwsgi.net.listener import Listener
    from geuwsgi.net.server import Accepted

#: Seconds between two looks at the deadlines.
TICK = 0.25

#: Connections accepted a turn of the loop.
_ACCEPT_BATCH = 16

#: Seconds between two warnings of the same kind.
_WARN_EVERY = 10.0

#: Milliseconds after which a worker without a heartbeat is not waited for.
_SILENCE_MS = 2500

# A worker that can accept nothing for so many seconds, and not because of its clients,
# asks for a successor.
_LEAK_S = 3.0


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """A request in flight, for people who ask what a worker is doing."""

    core: int
    method: str
    uri: str
    address: str
    started: float
    greenlet: greenlet | None

    def stack(self) -> str:
        """Return where the request's greenlet is, as a traceback is printed."""
        frame = self.greenlet.gr_frame if self.greenlet is not None else None
        if frame is None:
            return "  (running now)\n"
        return "".join(traceback.format_stack(frame))


class Server:
    """Serves ``listeners`` until it is drained.

    Made after the fork, in the process and thread that serve: it takes that
    thread's hub. ``cores`` is how many requests run at once (uWSGI: gevent);
    ``limits`` says what peers of a listener may do, ``edges`` how their connections
    begin: one for each listener, or none where all are plain. ``environ`` is what the
    environ of every request begins with, by default ``base_environ``.
    """

    def __init__(
        self,
        *,
        listeners: Sequence[Listener],
        find_application: Callable[[dict[str, Any]], Any],
        counters: memoryview[int],
        cores: int,
        limits: Callable[[Listener], Limits],
        edges: Sequence[Edge] = (),
        max_fields: int = 256,
        environ: dict[str, object] | None = None,
        harakiri: float = 0.0,
        worker_id: int = 1,
        max_connections: int = 0,
        max_connections_per_address: int = 0,
    ) -> None:
        self.hub = hub = get_hub()
        self.clock = Clock()
        self.site = Site(
            hub=hub,
            clock=self.clock,
            cores=Cores(
                cores,
                hub,
                exhausted=self._use_up_cores,
                available=self._resume,
            ),
            counters=counters,
            base_environ=base_environ(cores) if environ is None else environ,
            find_application=find_application,
            harakiri=harakiri,
            worker_id=worker_id,
            parser=HeadParser(max_fields=max_fields),
        )
        #: Told once a second, in the hub: for pings, buffers and the like.
        self.on_second: list[Callable[[], None]] = []
        #: Told the reason when draining begins, for connections that do not end by
        #: themselves. They must not wait.
        self.on_drain: list[Callable[[str], None]] = []
        #: The scoreboard rows of the other workers, free ones included.
        self.siblings: list[memoryview[int]] = []
        self.site.drain_begins = gevent.event.Event()
        #: Whether harakiri may end requests now (harakiri-queue-threshold).
        self.may_abort: Callable[[], bool] = lambda: True
        #: Whether to tell when the last core is taken.
        self.warns_when_full = cores > 1
        self._warned = 0.0
        self._greenlets = self.site.greenlets
        self._greenlets.live(on_small_stack(self._life_of_a_greenlet()))
        self._ticker: Any = None
        self._ticks = 0
        #: Requests and microseconds that the average knows of.
        self._counted = 0, 0
        #: This process is not the worker but one that the application forked.
        self._is_copy = False
        self._stopped_accepting = True
        self._accept_errors = 0.0
        self._failing_since = 0.0
        #: Asks for a successor, and says why.
        self.retire: Callable[[str], object] = lambda why: None
        self._box: Any = None
        self._crowd: Crowd | None = None
        self._refusals = Refusals()
        self._slow_bodies = SlowBodies(self.site.report)
        if max_connections or max_connections_per_address:
            self._crowd = Crowd(
                max_connections,
                max_connections_per_address,
                full=self._pause,
                room=self._resume,
                report=self.site.report,
            )
        self._endpoints = [
            Endpoint(
                index,
                listener,
                limits(listener),
                self.site,
                edges[index] if edges else PLAIN,
            )
            for index, listener in enumerate(listeners)
        ]
        self._listeners = listeners
        self._acceptors = [
            self._acceptor(listener, endpoint)
            for listener, endpoint in zip(listeners, self._endpoints, strict=True)
        ]

    # Accepting

    def leave_to_others(self, indexes: Container[int]) -> None:
        """Never accept on these listeners: others do. Call it before ``start``."""
        self._acceptors = [
            acceptor
            for index, acceptor in enumerate(self._acceptors)
            if index not in indexes
        ]

    def _acceptor(self, listener: Listener, endpoint: Endpoint) -> Acceptor:
        crowd = self._crowd

        def accepted(sock: Accepted, address: Any) -> bool:
            connection = endpoint.accept(sock, address)
            self._spawn(connection)
            return not connection.stream.closed

        def accepted_of_few(sock: Accepted, address: Any) -> bool:
            assert crowd is not None
            # A front server has many clients, and a unix socket no address.
            peer = address[0] if endpoint.has_direct_peers else ""
            if peer and not crowd.has_room_for(peer):
                if endpoint.begins_in_the_clear:
                    self._refusals.refuse(sock, self.clock.now)
                else:
                    sock.close()
                return False
            connection = endpoint.accept(sock, address)
            crowd.joins(connection, peer)
            self._spawn(connection)
            return not connection.stream.closed

        return Acceptor(
            listener.socket,
            accepted if crowd is None else accepted_of_few,
            self._accept_failed,
            self._excess,
            batch=_ACCEPT_BATCH,
        )

    def stick(self, sticky: Sticky, handovers: Handovers) -> None:
        """Exchange connections with siblings, so that sessions stay together."""
        site = self.site
        worker_id = site.worker_id

        def give(worker: int, connection: Connection, received: bytes) -> bool:
            row = self._row_of(worker)
            if row is None or not row[scoreboard.ACCEPTING]:
                return False
            endpoint = self._endpoints[connection.listener]
            if type(connection.stream) is Stream:
                handover = endpoint.hand_over(connection, received)
                return handovers.send(worker, handover)
            # TLS has a state that no descriptor carries: it stays here, and what
            # is in it goes back and forth.
            ours, theirs = socketpair()
            handover = endpoint.hand_over(connection, received, theirs.fileno())
            is_sent = handovers.send(worker, handover)
            theirs.close()
            if not is_sent:
                ours.close()
                return False
            self._relay(connection, ours)
            return True

        def take() -> None:
            while (handover := handovers.receive(worker_id)) is not None:
                connection = self._endpoints[handover.listener].adopt(handover)
                if self._crowd is not None:
                    self._crowd.joins(connection, "")
                self._spawn(connection)

        site.sticky = sticky
        site.hand_over = give
        site.response_filters += (sticky.learn_from_headers,)
        self._box = self.hub.loop.io(handovers.fileno(worker_id), 1)
        self._box.start(take)

    def _relay(self, connection: Connection, sock: _socket.socket) -> None:
        """Move bytes between a client and a sibling until either has no more."""
        sock.setblocking(False)
        sibling = Stream(sock, self.hub, self.clock)
        connection.stream.deadline = 0.0
        try:
            join_streams(connection.stream, sibling)
        finally:
            sibling.close()

    def _row_of(self, worker: int) -> memoryview[int] | None:
        for row in self.siblings:
            if row[scoreboard.WORKER_ID] == worker and row[scoreboard.PID]:
                return row
        return None

    def _spawn(self, connection: Connection) -> None:
        """Start the connection's greenlet at once: its request is mostly here."""
        self.site.connections.add(connection)
        self.site.counters[scoreboard.CONNECTIONS] += 1
        self._greenlets.serve_now(connection)

    def _forget(self, connection: Connection) -> None:
        self.site.counters[scoreboard.CONNECTIONS] -= 1
        self.site.connections.discard(connection)
        if self._crowd is not None:
            self._crowd.leaves(connection)

    def _life_of_a_greenlet(self) -> Callable[[], None]:
        """Return what serves one connection after the other.

        A function, because a bound method puts 144 bytes on the C stack, of which each
        held request keeps a copy.
        """
        site = self.site
        keep = self._greenlets.keep
        ready = self._greenlets.ready

        def live() -> None:
            current = getcurrent()
            current.exchange = None  # type: ignore[attr-defined]
            while True:
                while ready:
                    connection = ready.popleft()
                    if not serve(site, connection):
                        self._forget(connection)
                    if self._is_copy:
                        os._exit(0)
                    del connection
                    if getweakrefcount(current):
                        # What it keeps of threading.local ends with it. The next
                        # request must not find this one's user there.
                        return
                keep(current)
                if greenlet.switch(self.hub):
                    return

        return live

    def _excess(self) -> int:
        """How many connections this worker has more than it should; 0 is fair.

        Long-lived connections would otherwise stay where the kernel's habit of waking
        the last waiter has put them. One more than a sibling is no reason to wait, so
        short requests are taken by whoever is there.
        """
        mine = self.site.counters[scoreboard.CONNECTIONS]
        least = mine - 1
        if least < 1:
            return 0
        alive_after = int(self.clock.now * 1000) - _SILENCE_MS
        for row in self.siblings:
            connections = row[scoreboard.CONNECTIONS]
            if (
                connections < least
                and row[scoreboard.ACCEPTING]
                and row[scoreboard.HEARTBEAT_MS] > alive_after
            ):
                least = connections
        return mine - 1 - least

    def _accept_failed(self, exc: OSError) -> None:
        now = self.clock.now
        if now - self._accept_errors >= 3.0:
            self._failing_since = now
        # Once a second is enough to say that descriptors are used up.
        if now - self._accept_errors >= 1.0:
            self._accept_errors = now
            self.site.report(
                f"cannot accept connections: {exc.strerror} "
                f"({len(self.site.connections)} are open)"
            )
        if (
            now - self._failing_since >= _LEAK_S
            and exc.errno == errno.EMFILE
            # Else clients have them, and would have the successor's as well.
            and len(self.site.connections) < getrlimit(RLIMIT_NOFILE)[0] // 2
        ):
            self._failing_since = now
            self.retire("the application has used up the descriptors")

    def _pause(self) -> None:
        for acceptor in self._acceptors:
            acceptor.pause()
        self.site.counters[scoreboard.ACCEPTING] = 0

    def _use_up_cores(self) -> None:
        self._pause()
        self.site.lending.begin()
        now = self.clock.now
        if self.warns_when_full and now - self._warned >= _WARN_EVERY:
            self._warned = now
            count = self.site.cores.count
            self.site.report(f"async queue is full !!! (all {count} cores are busy)")

    def _resume(self) -> None:
        """Accept again, unless there is another reason not to."""
        is_full = self._crowd is not None and self._crowd.is_full
        if not (self._stopped_accepting or is_full) and self.site.cores.free:
            for acceptor in self._acceptors:
                acceptor.resume()
            self.site.counters[scoreboard.ACCEPTING] = 1

    def start(self) -> None:
        """Begin to accept, and to watch deadlines. Returns at once."""
        if self._ticker is None:
            self._ticker = self.hub.loop.timer(TICK, TICK)
            self._ticker.start(self._tick)
        self._stopped_accepting = False
        self._resume()

    def stop_accepting(self) -> None:
        """Leave new connections to others. Open ones go on."""
        self._stopped_accepting = True
        self._pause()

    def accept_the_rest(self, filenos: Container[int]) -> None:
        """Accept all that waits on these sockets, before they are closed.

        Call it in the hub.
        """
        for acceptor in self._acceptors:
            if acceptor.socket.fileno() in filenos:
                acceptor.accept_the_rest()

    # Time

    def _tick(self) -> None:
        """Look at all deadlines. Runs in the hub: it must not raise or wait."""
        self.clock.tick()
        now = self.clock.now
        self._average()
        self._greenlets.give_up_some()
        for exchange in overdue(self.site.cores.holders, now):
            if self.may_abort():
                self._abort(exchange, now)
        for exchange in self.site.lending.exchanges:
            if 0.0 < exchange.deadline <= now and self.may_abort():
                self._abort(exchange, now)
        self._ticks += 1
        if self._ticks % 4:
            return
        for stream in overdue_streams(self.site.connections, now):
            stream.expire()
        self._refusals.close_until(now)
        lending = self.site.lending
        self._slow_bodies.give_up(self.site.cores, lending, now)
        self.site.unsent.give_up(self.site.cores, lending)
        if self.site.unsent.has_shrunk():
            give_memory_back()
        for callback in self.on_second:
            try:
                callback()
            except Exception:
                self.site.report(traceback.format_exc())

    def _average(self) -> None:
        """Keep the average time of a request, of those since the last tick."""
        counters = self.site.counters
        requests = counters[scoreboard.REQUESTS]
        running = counters[scoreboard.RUNNING_TIME_US]
        if requests > self._counted[0]:
            micros = (running - self._counted[1]) // (requests - self._counted[0])
            before = counters[scoreboard.AVG_RT_US]
            counters[scoreboard.AVG_RT_US] = (
                (before + micros) // 2 if before else micros
            )
            self._counted = requests, running

    def _abort(self, exchange: Exchange, now: float) -> None:
        """End one request that takes too long; its siblings go on."""
        if not exchange.abort_requested:
            exchange.abort_requested = True
            self.site.counters[scoreboard.HARAKIRI_COUNT] += 1
        # Should the application swallow it, it comes again in a second.
        exchange.deadline = now + 1.0
        seconds = exchange.age(now)
        error = RequestAborted(
            f"HARAKIRI [core {exchange.core}] "
            f"{exchange.environ.get('REMOTE_ADDR', '')} - "
            f"{exchange.method} {exchange.environ.get('REQUEST_URI', '')} "
            f"since {int(exchange.started)} ({seconds:.1f} seconds)",
            504,
        )
        self.throw_into(exchange, error)

    def throw_into(self, exchange: Exchange, error: BaseException) -> None:
        """Raise ``error`` where the request's greenlet waits."""
        target = exchange.greenlet
        if target is not None and not target.dead:
            self.hub.loop.run_callback(_throw, exchange, target, error)

    # Ending

    def drain(self, *, reason: str, deadline_s: float) -> bool:
        """Finish what is open and return; true if nothing had to be cut.

        Blocks the calling greenlet. Idle connections are closed after a moment in
        which a request that is on its way may still arrive; it is answered, with
        ``Connection: close``. Requests past the deadline are ended.
        """
        self.stop_accepting()
        site = self.site
        site.draining = True
        site.drain_begins.set()
        for callback in self.on_drain:
            callback(reason)
        if reason == "stop":
            # In the hub, where connections are accepted.
            self.hub.loop.run_callback(self._leave_ports)
            gevent.sleep(0)
        end = self.clock.now + deadline_s
        idle_since = self.clock.now
        grace = min(1.0, deadline_s)
        while site.connections:
            gevent.sleep(TICK / 5)
            now = self.clock.now
            if now - idle_since >= grace:
                for connection in list(site.connections):
                    if connection.idle and connection.stream.is_waiting:
                        connection.stream.expire()
            if now >= end:
                return self._cut_everything(reason)
        return True

    def _leave_ports(self) -> None:
        """Leave ports to the other servers that listen there; nobody is turned away."""
        left = [listener for listener in self._listeners if listener.shares_port]
        filenos = {listener.fileno() for listener in left}
        for acceptor in self._acceptors:
            if acceptor.socket.fileno() in filenos:
                acceptor.accept_the_rest()
        for listener in left:
            listener.leave_port()

    def _cut_everything(self, reason: str) -> bool:
        site = self.site
        for request in (*site.cores.holders.values(), *site.lending.exchanges):
            self.throw_into(
                request, RequestAborted(f"{reason}: the request took too long", 503)
            )
        # Long enough for the refusals to be written and read.
        gevent.sleep(TICK / 5)
        for connection in list(self.site.connections):
            connection.stream.close()
        gevent.sleep(0)
        return False

    def leave_to_parent(self) -> None:
        """Serve nothing any more, in a process that the application forked.

        It has copies of all descriptors: left alone, its hub would accept connections
        and read requests that are the worker's. The request that forked goes on; if it
        comes to its end here as well, the process does.
        """
        self._is_copy = True
        self._greenlets.ready.clear()
        self.site.draining = True
        self._stopped_accepting = True
        for acceptor in self._acceptors:
            acceptor.pause()
        for watcher in (self._ticker, self._box):
            if watcher is not None:
                watcher.stop()
        self.site.lending.stop()
        exchange = current_exchange()
        mine = exchange.connection if exchange is not None else None
        for connection in self.site.connections:
            if connection is not mine:
                connection.stream.detach_watcher()

    def live_requests(self) -> list[LiveRequest]:
        """Return the requests in flight, by core."""
        return [
            LiveRequest(
                core=core,
                method=exchange.method,
                uri=str(exchange.environ.get("REQUEST_URI", "")),
                address=str(exchange.environ.get("REMOTE_ADDR", "")),
                started=exchange.started,
                greenlet=exchange.greenlet,
            )
            for core, exchange in sorted(self.site.cores.holders.items())
        ]


def _throw(exchange: Exchange, target: greenlet, error: BaseException) -> None:
    # The request may have ended between the decision and now, and its greenlet may
    # serve another one.
    if getattr(target, "exchange", None) is exchange:
        target.throw(error)


def base_environ(cores: int) -> dict[str, object]:
    """Return the part of the WSGI environ that is the same for all requests."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": EmptyInput(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": cores > 1,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
        "uwsgi.version": b"2.0.31",
        "uwsgi.node": os.uname().nodename.encode(),
        "uwsgi.core": 0,
    }
