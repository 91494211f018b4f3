"""The websockets of a worker: their settings, their ticks, their draining."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import gevent

from geuwsgi.protocol.websocket import GOING_AWAY, SERVICE_RESTART
from geuwsgi.protocol.websocket_handshake import asks_for_websocket
from geuwsgi.server.websocket.faces import offer_faces
from geuwsgi.server.websocket.upgrade import Upgrade

if TYPE_CHECKING:
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.websocket.engine import WebSocket
    from geuwsgi.server.websocket.settings import WebSocketSettings

#: Seconds between two batches of a drain that is spread out.
_DRAIN_STEP_S = 0.02
#: Seconds that applications have to say goodbye themselves.
_NOTICE_S = 0.1


class WebSockets:
    """One for each worker.

    The server calls ``offer`` for requests that ask for an upgrade, ``tick`` once a
    second in the hub, and ``drain`` when it stops accepting.
    """

    __slots__ = ("draining", "farewell", "open", "settings")

    def __init__(self, settings: WebSocketSettings) -> None:
        self.settings = settings
        self.open: set[WebSocket] = set()
        self.draining = False
        #: The code and reason of the end of the worker.
        self.farewell = GOING_AWAY, ""

    def offer(self, exchange: Exchange) -> None:
        """Put what makes a websocket of ``exchange`` into its environ."""
        if asks_for_websocket(exchange.environ):
            exchange.upgrade = upgrade = Upgrade(exchange, self)
            exchange.at_end(upgrade.end)
            offer_faces(upgrade, exchange)

    def add(self, websocket: WebSocket) -> None:
        """Look after an open websocket, until ``discard``."""
        self.open.add(websocket)
        if self.draining:
            # The request was on its way when the others were told.
            gevent.spawn_later(self._delay(), self._close, websocket)

    def discard(self, websocket: WebSocket) -> None:
        """Forget a websocket that has ended."""
        self.open.discard(websocket)

    def tick(self) -> None:
        """Ping the silent, give up the dead. Runs in the hub."""
        for websocket in list(self.open):
            websocket.tick()

    def drain(self, reason: str) -> None:
        """Have all clients go elsewhere, spread over ``drain_jitter`` seconds.

        A reload says 1012, so that clients come back; a stop says 1001. Returns at
        once. Applications see ``draining`` from now on.
        """
        if self.draining:
            return
        self.draining = True
        if reason == "stop":
            self.farewell = GOING_AWAY, "the server stops"
        else:
            self.farewell = SERVICE_RESTART, "the server restarts"
        gevent.spawn(self._drain)

    def _drain(self) -> None:
        gevent.sleep(_NOTICE_S)
        steps = max(1, int(self.settings.drain_jitter / _DRAIN_STEP_S))
        waiting = list(self.open)
        random.shuffle(waiting)
        for step in range(steps, 0, -1):
            count = -(-len(waiting) // step)
            for websocket in waiting[:count]:
                self._close(websocket)
            del waiting[:count]
            if waiting:
                gevent.sleep(_DRAIN_STEP_S)

    def _delay(self) -> float:
        return random.random() * self.settings.drain_jitter

    def _close(self, websocket: WebSocket) -> None:
        websocket.close(*self.farewell)
