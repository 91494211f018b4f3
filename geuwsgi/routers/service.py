"""The life of a router process beside its relaying: announcements, time, statistics.

``RouterService`` starts and drains as everything does that the master has forked.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Container, Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import gevent

from geuwsgi.errors import Disconnected
from geuwsgi.net.server import Acceptor
from geuwsgi.net.stream import Stream
from geuwsgi.routers.relays import Opening, Relay
from geuwsgi.routers.routes import StaticNodes
from geuwsgi.routers.subscriptions import Ears, Note, Subscriptions

if TYPE_CHECKING:
    from geuwsgi.net.listener import Listener
    from geuwsgi.net.server import Accepted
    from geuwsgi.routers.nodes import Node, Table

_ACCEPT_BATCH = 16
_STATS_TIMEOUT_S = 4.0
_POLL_S = 0.05


class Front(Protocol):
    """What accepts and serves."""

    def start(self) -> None: ...
    def stop_accepting(self) -> None: ...
    def accept_the_rest(self, filenos: Container[int]) -> None: ...
    def drain(self, *, reason: str, deadline_s: float) -> bool: ...


class SharedNote(Note, Protocol):
    """A note of which the others learn that it changed."""

    def stamp(self) -> bytes: ...


class RelayFront:
    """Accepts on some listeners and relays what comes."""

    def __init__(self, hub: Any, relay: Relay, report: Callable[[str], None]) -> None:
        self._hub = hub
        self._relay = relay
        self._report = report
        self._acceptors: list[Acceptor] = []
        self._sessions: dict[gevent.Greenlet[..., None], Stream] = {}

    def add(
        self,
        listener: Listener,
        opening: Opening,
        make_stream: Callable[[Accepted], Stream] | None = None,
    ) -> None:
        """Serve ``listener``; ``make_stream`` makes the stream of a connection."""

        def accepted(sock: Accepted, address: Any) -> None:
            stream = make_stream(sock) if make_stream else Stream(sock, self._hub)
            session = gevent.spawn(self._relay.serve, stream, opening, address)
            self._sessions[session] = stream
            session.rawlink(self._forget)

        self._acceptors.append(
            Acceptor(
                listener.socket,
                accepted,
                lambda exc: self._report(f"cannot accept connections: {exc.strerror}"),
                lambda: 0,
                batch=_ACCEPT_BATCH,
            )
        )

    def _forget(self, session: Any) -> None:
        self._sessions.pop(session, None)

    @property
    def active(self) -> int:
        """How many connections are open."""
        return len(self._sessions)

    def start(self) -> None:
        for acceptor in self._acceptors:
            acceptor.resume()

    def stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.pause()

    def accept_the_rest(self, filenos: Container[int]) -> None:
        for acceptor in self._acceptors:
            if acceptor.socket.fileno() in filenos:
                acceptor.accept_the_rest()

    def drain(self, *, reason: str, deadline_s: float) -> bool:
        self.stop_accepting()
        end = monotonic() + deadline_s
        while self._sessions and monotonic() < end:
            gevent.sleep(_POLL_S)
        if not self._sessions:
            return True
        for stream in list(self._sessions.values()):
            stream.close()
        gevent.joinall(list(self._sessions), timeout=1.0)
        return False


class RouterService:
    """See the module's text.

    ``hears`` is whether this process reads the announcements; its siblings learn of
    them from ``note``. With ``cheap`` nothing is accepted while nobody announced
    himself.
    """

    def __init__(
        self,
        hub: Any,
        front: Front,
        *,
        table: Table,
        report: Callable[[str], None],
        subscriptions: Subscriptions | None = None,
        ears: Sequence[Ears] = (),
        note: SharedNote | None = None,
        cheap: bool = False,
    ) -> None:
        self._hub = hub
        self._front = front
        self._table = table
        self._report = report
        self._subscriptions = subscriptions
        self._ears = tuple(ears)
        self._note = note
        self._read_stamp = b""
        self._cheap = cheap
        self._ticker: Any = None
        self._stats: list[Acceptor] = []
        self._is_serving = False
        self._is_accepting = False
        #: Told the certificates that nodes bring along, whenever they change.
        self.offer: Callable[[dict[str, tuple[str, str, str]]], None] | None = None
        self._is_offer_due = False
        self.snapshot: Callable[[], dict[str, Any]] = dict

    def serve_statistics(self, listeners: Iterable[Listener]) -> None:
        """Answer everybody who connects to ``listeners`` with the snapshot."""

        def accepted(sock: Accepted, address: Any) -> None:
            gevent.spawn(self._tell, sock)

        for listener in listeners:
            self._stats.append(
                Acceptor(
                    listener.socket,
                    accepted,
                    lambda exc: None,
                    lambda: 0,
                    batch=1,
                )
            )

    def _tell(self, sock: Accepted) -> None:
        stream = Stream(sock, self._hub)
        try:
            told = json.dumps(self.snapshot(), indent="\t").encode()
            with gevent.Timeout(_STATS_TIMEOUT_S, Disconnected("a slow reader")):
                stream.send_all(told + b"\n")
        except Disconnected:
            pass
        except Exception:
            self._report(traceback.format_exc().rstrip())
        finally:
            stream.close()

    # -- start and end -----------------------------------------------------------------

    def start(self) -> None:
        self._is_serving = True
        if self._subscriptions is not None and self._note is not None:
            if self._ears:
                self._subscriptions.keep_in(self._note)
            else:
                self._look_at_note()
                # A second until the next look is long for who has just announced
                # himself.
                self._table.on_missing = self._look_at_note
        self._table.on_change = self._changed
        self._offer()
        for ears in self._ears:
            ears.start()
        if self._ticker is None:
            self._ticker = self._hub.loop.timer(1.0, 1.0)
            self._ticker.start(self._tick)
        for acceptor in self._stats:
            acceptor.resume()
        self._accept_or_not()

    def _changed(self) -> None:
        if self._subscriptions is not None:
            self._subscriptions.changed()
        if self.offer is not None and not self._is_offer_due:
            # Many nodes may come or go at once.
            self._is_offer_due = True
            self._hub.loop.run_callback(self._offer)
        self._accept_or_not()

    def _offer(self) -> None:
        # Runs in the hub: it must not raise.
        self._is_offer_due = False
        try:
            if self.offer is not None:
                self.offer(self._table.certificates())
        except Exception:
            self._report(traceback.format_exc().rstrip())

    def _accept_or_not(self) -> None:
        wanted = self._is_serving and (not self._cheap or bool(self._table))
        if wanted and not self._is_accepting:
            self._front.start()
        elif self._is_accepting and not wanted:
            self._front.stop_accepting()
        if self._cheap and self._is_serving and wanted != self._is_accepting:
            self._report(f"{'leaving' if wanted else 'going'} cheap mode")
        self._is_accepting = wanted

    def stop_accepting(self) -> None:
        self._is_serving = False
        for ears in self._ears:
            ears.stop()
        for acceptor in self._stats:
            acceptor.pause()
        self._accept_or_not()

    def accept_the_rest(self, filenos: Container[int]) -> None:
        self._front.accept_the_rest(filenos)

    def drain(self, *, reason: str, deadline_s: float) -> bool:
        self.stop_accepting()
        return self._front.drain(reason=reason, deadline_s=deadline_s)

    # -- time --------------------------------------------------------------------------

    def _tick(self) -> None:
        # Runs in the hub: it must neither wait nor raise.
        try:
            if self._subscriptions is None:
                return
            if self._ears:
                if self._is_serving:
                    self._subscriptions.tick()
            else:
                self._look_at_note()
        except Exception:
            self._report(traceback.format_exc().rstrip())

    def _look_at_note(self) -> bool:
        """Take over what a sibling has heard; whether there was anything new."""
        assert self._subscriptions is not None
        if self._note is None:
            return False
        stamp = self._note.stamp()
        if stamp == self._read_stamp:
            return False
        self._read_stamp = stamp
        self._subscriptions.load(self._note.read())
        return True


def router_snapshot(
    kind: str,
    *,
    version: str,
    addresses: Sequence[str],
    active: int,
    table: Table,
    static: StaticNodes,
    now: float,
    cheap: bool,
) -> dict[str, Any]:
    """What the statistics of a router tell, under uWSGI's names."""
    told: dict[str, Any] = {
        "version": version,
        "pid": os.getpid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "cwd": os.getcwd(),
        "active_sessions": active,
        kind: list(addresses),
    }
    if static.nodes:
        told["static_nodes"] = [
            {
                "name": node.name,
                "hits": node.requests,
                "grace": max(0, round(node.dead_until - now)),
                "ref": node.references,
                "failcnt": node.failures,
            }
            for node in static.nodes
        ]
    told["subscriptions"] = [
        {
            "key": pool.key,
            "hits": pool.hits,
            "nodes": [_node(node, now) for node in pool.nodes],
        }
        for pool in table.pools.values()
    ]
    told["cheap"] = int(cheap)
    return told


def _node(node: Node, now: float) -> dict[str, Any]:
    return {
        "name": node.name,
        "modifier1": node.modifier1,
        "modifier2": node.modifier2,
        "last_check": node.told_unix,
        "pid": node.pid,
        "uid": node.uid,
        "gid": node.gid,
        "requests": node.requests,
        "tx": node.sent,
        "cores": node.cores,
        "load": node.load,
        "weight": node.weight,
        "wrr": node.credit,
        "ref": node.references,
        "failcnt": node.failures,
        "death_mark": int(node.dead_until > now),
    }
